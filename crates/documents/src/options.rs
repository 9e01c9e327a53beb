//! What to read from the files, and how much of them at once.

use crate::error::Column;

/// Where a document's parts are: the names of a JSON object's keys, or of a table's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The text. A document without it is broken.
    pub text: String,
    /// The language, such as `ko`; documents may lack it.
    pub lang: Option<String>,
    /// Where the document comes from; documents may lack it.
    pub source: Option<String>,
    /// Under which licence it is given; documents may lack it.
    pub license: Option<String>,
    /// The address that it was fetched from; documents may lack it.
    pub url: Option<String>,
}

impl Columns {
    /// The name of a column, where it has one.
    pub fn name(&self, column: Column) -> Option<&str> {
        match column {
            Column::Text => Some(&self.text),
            Column::Lang => self.lang.as_deref(),
            Column::Source => self.source.as_deref(),
            Column::License => self.license.as_deref(),
            Column::Url => self.url.as_deref(),
        }
    }
}

impl Default for Columns {
    fn default() -> Columns {
        Columns {
            text: "text".to_owned(),
            lang: Some("lang".to_owned()),
            source: Some("source".to_owned()),
            license: None,
            url: None,
        }
    }
}

/// What a file holds, once it is decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object a line.
    Jsonl,
    /// As [`Format::Jsonl`], but lines are handed out as they stand, for others to look at what is in them.
    Lines,
    /// A table.
    Parquet,
    /// One document, or several with [`Options::separator`] between them.
    Text,
}

/// How to read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where a document's parts are.
    pub columns: Columns,
    /// What all files hold; told from each file where not given.
    pub format: Option<Format>,
    /// What stands between the documents of a text file; a whole file is one document where not given. Must not be
    /// empty.
    pub separator: Option<String>,
    /// Count broken documents and pass over them, instead of ending with an error.
    pub skip_broken: bool,
    /// The longest line, or document of a text file, in bytes. A longer one is broken.
    pub longest: usize,
    /// About how many bytes of lines are handed out at once.
    pub block: usize,
    /// How many files are read side by side, each on a thread of its own. Their documents follow one another block by
    /// block in turns, so the order depends on this number, and on nothing else but the files.
    pub streams: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            columns: Columns::default(),
            format: None,
            separator: None,
            skip_broken: false,
            longest: 256 << 20,
            block: 2 << 20,
            streams: 1,
        }
    }
}
