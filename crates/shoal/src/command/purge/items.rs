//! What to purge, from a file: one path or full URL on each line.

use std::io::Read;

use anyhow::{Context, bail};
use model::Scope;

/// Bytes of a file that are read: far more than one purge takes, even before folding.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Reads the file, or standard input for `-`.
pub(super) fn read(file: &str) -> anyhow::Result<Vec<Scope>> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_string(&mut text),
        file => {
            let opened = std::fs::File::open(file).with_context(|| file.to_owned())?;
            opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)
        }
    };
    let name = if file == "-" { "standard input" } else { file };
    if read.with_context(|| name.to_owned())? as u64 > FILE_BYTES_MAX {
        bail!("{name}: more than {FILE_BYTES_MAX} bytes: give the paths in several files");
    }
    parse(name, &text)
}

/// Blank lines and those that start with `#` are skipped.
fn parse(name: &str, text: &str) -> anyhow::Result<Vec<Scope>> {
    let mut scopes = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        scopes.push(Scope::parse(line).with_context(|| format!("{name}:{}", at + 1))?);
    }
    match scopes.is_empty() {
        true => bail!("{name}: no paths in it: expected one path or full URL on each line"),
        false => Ok(scopes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_and_comments_are_skipped() {
        let text = "# old style\n\n /a.css \r\nhttps://shop.example/img/*\n";
        let scopes = parse("paths.txt", text).unwrap();
        let texts: Vec<String> = scopes.iter().map(Scope::to_string).collect();
        assert_eq!(texts, ["/a.css", "https://shop.example/img/*"]);
    }

    #[test]
    fn a_mistake_is_named_with_its_file_line_and_what_was_expected() {
        let error = format!("{:#}", parse("paths.txt", "/a\n#\nb.css\n").unwrap_err());
        assert!(error.starts_with("paths.txt:3: "), "{error}");
        assert!(
            error.contains("\"b.css\" is not valid: expected printable ASCII starting with /"),
            "{error}"
        );
        let error = parse("paths.txt", "# nothing\n").unwrap_err().to_string();
        assert!(error.contains("paths.txt: no paths in it"), "{error}");
        assert!(read("/nowhere/paths.txt").unwrap_err().to_string().contains("/nowhere/paths.txt"));
    }
}
