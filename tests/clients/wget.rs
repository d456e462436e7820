//! wget: downloads that go on where they stopped, and files that are fetched only when newer.

use super::*;

/// Runs wget toward the mesh; what it says.
async fn wget(scene: &Scene, arguments: &[&str], target: &str) -> Result<String> {
    let url = format!("http://{}{target}", scene.shape.door());
    let host = format!("--header=Host: {}", scene.fill.host);
    let mut all = vec!["--no-proxy", "--tries=1", "--server-response", &host];
    all.extend(arguments);
    all.push(&url);
    let output = run("wget", &all, scene.directory.path()).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "wget {all:?}: {said}");
    Ok(said)
}

#[test]
fn wget_goes_on_where_it_stopped() {
    with("wget", async || {
        let scene = Scene::set("continue.clients").await?;
        scene.play(
            "origin = [\"200\", \"Cache-Control: max-age=100\", \"ETag: \\\"a\\\"\"]\n\
             object = { bytes = 300000, ranges = true }",
        )?;
        fs::write(scene.path("file"), object(300_000).part(0, 7777))?;
        let said = wget(&scene, &["-c"], "/file").await?;
        ensure!(said.contains("206 Partial Content"), "{said}");
        holds(&scene.path("file"), &object(300_000).part(0, 300_000))?;
        // All of it is there: a 416 is how a server says that nothing is left.
        let said = wget(&scene, &["-c"], "/file").await?;
        ensure!(said.contains("416"), "{said}");
        Ok(())
    });
}

#[test]
fn wget_fetches_only_what_is_newer() {
    with("wget", async || {
        let scene = Scene::set("newer.clients").await?;
        scene.play(
            "origin = [\"200\", \"Cache-Control: max-age=100\", \"Last-Modified: {now-1000}\"]",
        )?;
        let said = wget(&scene, &["-N"], "/file").await?;
        ensure!(said.contains("200 OK"), "{said}");
        let said = wget(&scene, &["-N"], "/file").await?;
        ensure!(said.contains("304 Not Modified"), "{said}");
        ensure!(scene.asked() == 1, "the origin is asked {} times", scene.asked());
        Ok(())
    });
}

#[test]
fn wget_follows_a_redirect_from_the_cache() {
    with("wget", async || {
        let scene = Scene::set("redirect.clients").await?;
        let target = format!("http://{}/there", scene.shape.door());
        scene.play(&format!(
            "origin = [\"301\", \"Location: {target}\", \"Cache-Control: max-age=100\"]\n\
             origin_next = [[\"200\", \"Cache-Control: max-age=100\"]]"
        ))?;
        for _ in 0..2 {
            let said = wget(&scene, &["-O", "out"], "/here").await?;
            ensure!(said.contains("301 ") && said.contains("200 OK"), "{said}");
        }
        ensure!(scene.asked() == 2, "the origin is asked {} times", scene.asked());
        Ok(())
    });
}
