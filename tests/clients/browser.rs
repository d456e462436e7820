//! A headless browser: a page that fetches through the mesh what pages fetch, and writes down what
//! it got.

use super::*;

/// What the page does: a part, a whole twice (the second time by condition), and an encoded one.
const PAGE: &str = r#"<!doctype html><title>-</title><script>
async function all() {
  const said = [];
  const part = await fetch('/part', { headers: { Range: 'bytes=2-4' }, cache: 'no-store' });
  said.push(part.status, await part.text());
  const first = await fetch('/tagged'); said.push(first.status, await first.text());
  const again = await fetch('/tagged', { cache: 'no-cache' });
  said.push(again.status, await again.text());
  const encoded = await fetch('/encoded'); said.push(encoded.status, await encoded.text());
  document.title = said.join(' ');
  document.documentElement.textContent = said.join(' ');
}
all();
</script>"#;

/// What it writes: the browser turns the 304 into what it has.
const SAID: &str = "206 234 200 tagged 200 tagged 200 hello";

#[test]
fn a_browser_gets_parts_conditions_and_encodings_right() {
    with("chromium", async || {
        let scene = Scene::set("browser.clients").await?;
        let page = PAGE.replace('\n', " ").replace('\\', "").replace('"', "'");
        let ok = "\"200\", \"Cache-Control: max-age=100\"";
        scene.play_at(
            "/",
            &format!("origin = [{ok}, \"Content-Type: text/html\"]\norigin_body = \"{page}\""),
        )?;
        scene.play_at("/part", &format!("origin = [{ok}]\norigin_body = \"0123456789\""))?;
        scene.play_at(
            "/tagged",
            &format!("origin = [{ok}, \"ETag: \\\"a\\\"\"]\norigin_body = \"tagged\""),
        )?;
        let gzipped = super::curl::GZIPPED;
        scene.play_at(
            "/encoded",
            &format!("origin = [{ok}, \"Content-Encoding: gzip\"]\norigin_body = \"{gzipped}\""),
        )?;
        let door = scene.shape.door();
        let rules = format!("--host-resolver-rules=MAP {} 127.0.0.1", scene.fill.host);
        let profile = format!("--user-data-dir={}", scene.path("profile").display());
        let url = format!("http://{}:{}/", scene.fill.host, door.port());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            "--virtual-time-budget=10000",
            "--dump-dom",
            &rules,
            &profile,
            &url,
        ];
        let output = run("chromium", &arguments, scene.directory.path()).await?;
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(page.contains(SAID), "{page}\n{words}");
        Ok(())
    });
}
