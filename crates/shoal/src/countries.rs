//! Where viewers are: a table of prefixes in a file, read once when the node starts.
//!
//! The node that a viewer speaks to looks it up, and what it finds travels with the request. A node
//! whose table cannot be read does not start, rather than take everybody for a stranger; one that
//! was given none does.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use model::limits::COUNTRIES_BYTES_MAX;
use policy::{Country, CountryTable};
use serve::{Countries, NoCountries};

struct Table(CountryTable);

impl Countries for Table {
    fn of(&self, viewer: IpAddr) -> Option<Country> {
        self.0.of(viewer)
    }
}

/// The table in `file`, or the one that knows nobody.
pub(crate) fn read(file: Option<&Path>) -> anyhow::Result<Arc<dyn Countries>> {
    let Some(file) = file else { return Ok(Arc::new(NoCountries)) };
    let table = table(file).with_context(|| format!("http.countries_file {}", file.display()))?;
    Ok(Arc::new(Table(table)))
}

fn table(file: &Path) -> anyhow::Result<CountryTable> {
    let mut text = Vec::new();
    File::open(file)?.take(COUNTRIES_BYTES_MAX as u64 + 1).read_to_end(&mut text)?;
    if text.len() > COUNTRIES_BYTES_MAX {
        bail!("expected {COUNTRIES_BYTES_MAX} bytes at most");
    }
    Ok(CountryTable::parse(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_and_its_mistakes_name_file_line_and_what_was_expected() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("countries.csv");
        let read_as = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read(Some(&file))
        };
        let countries = read_as("# ours\n127.0.0.2/32,CH\n").unwrap();
        assert_eq!(countries.of([127, 0, 0, 2].into()), Country::parse("CH"));
        assert_eq!(countries.of([127, 0, 0, 3].into()), None);
        for (text, words) in
            [("\n127.0.0.2,CH\n", "line 2: expected a prefix like"), ("x", "line 1")]
        {
            let error = format!("{:#}", read_as(text).err().unwrap());
            assert!(error.contains("countries.csv") && error.contains(words), "{error}");
        }
        std::fs::remove_file(&file).unwrap();
        let error = format!("{:#}", read(Some(&file)).err().unwrap());
        assert!(error.contains("countries.csv"), "{error}");
        assert_eq!(read(None).unwrap().of([127, 0, 0, 2].into()), None);
    }

    #[test]
    fn a_file_may_be_as_large_as_its_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("countries.csv");
        let comment = vec![b'#'; COUNTRIES_BYTES_MAX];
        std::fs::write(&path, &comment).unwrap();
        assert!(read(Some(&path)).is_ok());
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .set_len(comment.len() as u64 + 1)
            .unwrap();
        let error = format!("{:#}", read(Some(&path)).err().unwrap());
        assert!(error.contains("bytes at most"), "{error}");
    }
}
