//! curl: conditions by file, ranges one by one and side by side, resumed downloads, encodings,
//! uploads, and the versions of HTTP that it speaks.

use super::*;

/// Mebibytes of the object that is fetched in pieces, unless the environment says otherwise.
const LARGE_MIB: usize = 24;
/// Pieces of it at once.
const PIECES: usize = 8;

/// Runs curl toward the mesh; its standard output.
async fn curl(scene: &Scene, arguments: &[&str], target: &str) -> Result<String> {
    let to = format!("::{}", scene.shape.door());
    let url = scene.url(target);
    let mut all = vec!["-sS", "--connect-to", &to];
    all.extend(arguments);
    all.push(&url);
    let output = run("curl", &all, scene.directory.path()).await?;
    ensure!(output.status.success(), "curl {all:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

const STATUS: [&str; 4] = ["-w", "%{http_code}", "-o", "out"];

#[test]
fn curl_downloads_once_and_then_compares_by_tag() {
    with("curl", async || {
        let scene = Scene::set("tag.clients").await?;
        scene.play("origin = [\"200\", \"Cache-Control: max-age=100\", \"ETag: \\\"v1\\\"\"]")?;
        let save = [&STATUS[..], &["--etag-save", "tag"]].concat();
        ensure!(curl(&scene, &save, "/a").await? == "200");
        let compare = [&STATUS[..], &["--etag-compare", "tag"]].concat();
        ensure!(curl(&scene, &compare, "/a").await? == "304");
        ensure!(scene.asked() == 1, "the origin is asked {} times", scene.asked());
        Ok(())
    });
}

#[test]
fn curl_compares_by_date() {
    with("curl", async || {
        let scene = Scene::set("date.clients").await?;
        scene.play(
            "origin = [\"200\", \"Cache-Control: max-age=100\", \"Last-Modified: {now-1000}\"]",
        )?;
        ensure!(curl(&scene, &[&STATUS[..], &["-R"]].concat(), "/a").await? == "200");
        ensure!(curl(&scene, &[&STATUS[..], &["-z", "out"]].concat(), "/a").await? == "304");
        Ok(())
    });
}

#[test]
fn curl_gets_the_ranges_that_it_asks_for() {
    with("curl", async || {
        let scene = Scene::set("range.clients").await?;
        scene.play(
            "origin = [\"200\", \"Cache-Control: max-age=100\", \"ETag: \\\"a\\\"\"]\n\
             object = { bytes = 5000, ranges = true }",
        )?;
        for (range, first, end) in
            [("100-199", 100, 200), ("-50", 4950, 5000), ("4000-", 4000, 5000)]
        {
            let status = curl(&scene, &[&STATUS[..], &["-r", range]].concat(), "/a").await?;
            ensure!(status == "206", "{range}: {status}");
            holds(&scene.path("out"), &object(5000).part(first, end))?;
        }
        let several = curl(&scene, &["-i", "-r", "0-9,4000-4009"], "/a").await?;
        ensure!(several.contains("multipart/byteranges"), "{several}");
        ensure!(several.matches("ontent-").count() >= 3, "{several}");
        let beyond = curl(&scene, &[&STATUS[..], &["-r", "5000-"]].concat(), "/a").await?;
        ensure!(beyond == "416", "{beyond}");
        Ok(())
    });
}

#[test]
fn curl_resumes_a_download() {
    with("curl", async || {
        let scene = Scene::set("resume.clients").await?;
        scene.play(
            "origin = [\"200\", \"Cache-Control: max-age=100\", \"ETag: \\\"a\\\"\"]\n\
             object = { bytes = 300000, ranges = true }",
        )?;
        fs::write(scene.path("out"), object(300_000).part(0, 1234))?;
        let status = curl(&scene, &[&STATUS[..], &["-C", "-"]].concat(), "/a").await?;
        ensure!(status == "206", "{status}");
        holds(&scene.path("out"), &object(300_000).part(0, 300_000))
    });
}

/// `SHOAL_LARGE_MIB=2048` makes it two gibibytes.
#[test]
fn curl_fetches_a_large_file_in_pieces_side_by_side() {
    with("curl", async || {
        let mib = std::env::var("SHOAL_LARGE_MIB").ok().and_then(|text| text.parse().ok());
        let bytes = mib.unwrap_or(LARGE_MIB) * 1024 * 1024 + 4321;
        let scene = Scene::set("large.clients").await?;
        scene.play(&format!(
            "origin = [\"200\", \"Cache-Control: max-age=1000\", \"ETag: \\\"a\\\"\", \
             \"Accept-Ranges: bytes\"]\nobject = {{ bytes = {bytes}, ranges = true }}"
        ))?;
        let piece = bytes.div_ceil(PIECES);
        let fetches = (0..PIECES).map(async |at| {
            let (first, end) = (at * piece, ((at + 1) * piece).min(bytes));
            let (range, out) = (format!("{first}-{}", end - 1), format!("piece-{at}"));
            let arguments = ["-w", "%{http_code}", "-o", &out, "-r", &range];
            let status = curl(&scene, &arguments, "/large").await?;
            ensure!(status == "206", "piece {at}: {status}");
            holds(&scene.path(&out), &object(bytes).part(first, end))
        });
        futures_util::future::try_join_all(fetches).await?;
        Ok(())
    });
}

#[test]
fn curl_uploads_and_waits_for_the_word_to_go_on() {
    with("curl", async || {
        let scene = Scene::set("upload.clients").await?;
        fs::write(scene.path("in"), object(2_000_000).part(0, 2_000_000))?;
        scene.play("request = \"PUT /\"\norigin = [\"201\"]")?;
        let put = [&STATUS[..], &["-T", "in", "-H", "Expect: 100-continue"]].concat();
        let status = curl(&scene, &put, "/up").await?;
        ensure!(status == "201", "{status}");
        let asked = scene.shape.origin.asked(&scene.fill.host);
        let body = &asked.last().context("the origin was not asked")?.body.bytes;
        ensure!(*body == object(2_000_000).part(0, 2_000_000), "{} bytes arrive", body.len());
        Ok(())
    });
}

#[test]
fn curl_speaks_every_version_and_gets_the_same() {
    with("curl", async || {
        let scene = Scene::set("versions.clients").await?;
        scene.play("origin = [\"200\", \"Cache-Control: max-age=100\"]")?;
        for version in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
            let status = curl(&scene, &[&STATUS[..], &[version]].concat(), "/a").await?;
            ensure!(status == "200", "{version}: {status}");
            holds(&scene.path("out"), format!("step 1 of {}\n", scene.fill.host).as_bytes())?;
        }
        ensure!(scene.asked() == 1, "the origin is asked {} times", scene.asked());
        Ok(())
    });
}

const HINTS: &str = r"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
const ANSWER: &str = r"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 3\r\n\r\nabc";

#[test]
fn curl_gets_early_hints_in_every_version_that_has_them() {
    with("curl", async || {
        let scene = Scene::set("hints.clients").await?;
        for (version, early) in
            [("--http1.1", "HTTP/1.1 103"), ("--http2-prior-knowledge", "HTTP/2 103")]
        {
            scene.play(&format!("origin_raw = \"{HINTS}{ANSWER}\""))?;
            let to_file = ["-D", "heads", version];
            ensure!(curl(&scene, &[&STATUS[..], &to_file].concat(), "/a").await? == "200");
            let heads = fs::read_to_string(scene.path("heads"))?.to_lowercase();
            let (hints, answer) = heads.split_once("\r\n\r\n").context("one head only")?;
            ensure!(hints.starts_with(&early.to_lowercase()), "{version}: {heads}");
            ensure!(hints.contains("link: </a.css>; rel=preload"), "{version}: {heads}");
            ensure!(answer.contains(" 200") && !answer.contains("link:"), "{version}: {heads}");
            holds(&scene.path("out"), b"abc")?;
        }
        Ok(())
    });
}

#[test]
fn curl_decodes_what_the_origin_has_encoded_and_only_where_it_takes_it() {
    with("curl", async || {
        let scene = Scene::set("encoded.clients").await?;
        scene.play(&format!(
            "origin = [\"200\", \"Cache-Control: max-age=100\", \"Vary: Accept-Encoding\", \
             \"Content-Encoding: gzip\"]\norigin_body = \"{GZIPPED}\""
        ))?;
        let status = curl(&scene, &[&STATUS[..], &["--compressed"]].concat(), "/a").await?;
        ensure!(status == "200", "{status}");
        holds(&scene.path("out"), b"hello")?;
        scene.play("origin = [\"200\", \"Vary: Accept-Encoding\"]\norigin_body = \"plain\"")?;
        curl(&scene, &STATUS, "/a").await?;
        holds(&scene.path("out"), b"plain")?;
        ensure!(scene.asked() == 1, "the other variant is not taken from the cache");
        Ok(())
    });
}

#[test]
fn curl_decodes_what_the_edge_encodes() {
    with("curl", async || {
        let scene = Scene::set("edge.clients-encoded").await?;
        scene.play(
            "origin = [\"200\", \"Cache-Control: max-age=100\", \"Content-Type: text/plain\", \
             \"ETag: \\\"a\\\"\"]\nobject = { bytes = 200000 }",
        )?;
        for coding in ["gzip", "br", "zstd"] {
            let supported = run("curl", &["--version"], scene.directory.path()).await?;
            let known = String::from_utf8_lossy(&supported.stdout).into_owned();
            if coding != "gzip" && !known.contains(if coding == "br" { "brotli" } else { coding }) {
                continue;
            }
            let accept = format!("Accept-Encoding: {coding}");
            let arguments = ["-D", "head", "-o", "out", "--compressed", "-H", &accept];
            curl(&scene, &arguments, "/a").await?;
            let head = fs::read_to_string(scene.path("head"))?.to_lowercase();
            ensure!(head.contains(&format!("content-encoding: {coding}")), "{head}");
            ensure!(head.contains("etag: w/\"a"), "{head}");
            holds(&scene.path("out"), &object(200_000).part(0, 200_000))?;
        }
        Ok(())
    });
}

/// `hello`, as gzip without compression: header, one stored block, checksum and length.
pub(super) const GZIPPED: &str = concat!(
    "\\u001f\\u008b\\u0008\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u00ff",
    "\\u0001\\u0005\\u0000\\u00fa\\u00ffhello",
    "\\u0086\\u00a6\\u0010\\u0036\\u0005\\u0000\\u0000\\u0000",
);
