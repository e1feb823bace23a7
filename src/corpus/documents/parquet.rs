//! Parquet: one column of texts, row group by row group, page by page.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec;

use parquet::basic::{LogicalType, Type as PhysicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescPtr;

use crate::corpus::error::{DocumentError, Extent, words};

/// Number of rows to decode at a time.
const BATCH: usize = 256;

/// The texts of a file.
pub struct Rows {
    path: String,
    reader: SerializedFileReader<File>,
    column: usize,
    /// The definition level of a non-null text: how many of the column and the structs around it are nullable.
    level: i16,
    rows: u64,
    read: u64,
    /// The next row group to read.
    next_group: usize,
    group: Option<Group>,
}

/// A row group being read.
struct Group {
    reader: ColumnReaderImpl<ByteArrayType>,
    rows: u64,
    read: u64,
    decoded: vec::IntoIter<Option<ByteArray>>,
}

impl Rows {
    /// Opens a column, by its path; `None` for a file without rows.
    pub fn open(path: &str, column: &str) -> Result<Option<Self>, DocumentError> {
        let wrong = |reason: String| DocumentError::of_file(path, reason);
        let file = File::open(path).map_err(|error| wrong(words(&error)))?;
        if file.metadata().map_err(|error| wrong(words(&error)))?.len() == 0 {
            return Ok(None);
        }
        let reader = guarded(|| SerializedFileReader::new(file).map_err(|error| said(&error)))
            .map_err(|reason| wrong(format!("not a Parquet file, or damaged: {reason}")))?;
        let metadata = reader.metadata();
        let columns = metadata.file_metadata().schema_descr().columns();
        let named = |found: &ColumnDescPtr| found.path().string();
        let all = || columns.iter().map(named).collect::<Vec<_>>().join(", ");
        let Some(at) = columns.iter().position(|found| named(found) == column) else {
            let inside =
                |found: &&ColumnDescPtr| named(found).strip_prefix(column).is_some_and(|rest| rest.starts_with('.'));
            if columns.iter().find(inside).is_some_and(|found| found.max_rep_level() > 0) {
                return Err(wrong(holds_lists(column, &all())));
            }
            return Err(wrong(format!("without the column {column:?}; its columns: {} (--text-column)", all())));
        };
        let found = &columns[at];
        if columns.iter().filter(|found| named(found) == column).count() > 1 {
            return Err(wrong(format!("several columns are called {column:?}; expected one")));
        }
        if found.max_rep_level() > 0 {
            return Err(wrong(holds_lists(column, &all())));
        }
        if !is_text(found) {
            let what = match found.logical_type_ref() {
                Some(LogicalType::Unknown) => "nulls".into(),
                Some(kind) => format!("{kind:?}"),
                None => found.physical_type().to_string(),
            };
            let texts: Vec<_> =
                columns.iter().filter(|found| is_text(found) && found.max_rep_level() == 0).map(named).collect();
            let texts = if texts.is_empty() { "none".into() } else { texts.join(", ") };
            return Err(wrong(format!(
                "the column {column:?} does not hold texts but {what}; columns with texts: {texts}"
            )));
        }
        let level = found.max_def_level();
        let rows: u64 = metadata.row_groups().iter().map(|group| group.num_rows().max(0) as u64).sum();
        let counted = metadata.file_metadata().num_rows();
        if u64::try_from(counted) != Ok(rows) {
            return Err(wrong(format!("damaged: it says {counted} rows, and its row groups have {rows}")));
        }
        if rows == 0 {
            return Ok(None);
        }
        Ok(Some(Self { path: path.to_string(), reader, column: at, level, rows, read: 0, next_group: 0, group: None }))
    }

    /// The part of the rows that has been read, 0 to 1.
    pub fn fraction(&self) -> f64 {
        self.read as f64 / self.rows as f64
    }

    /// The next row, or why it cannot be read; `None` after the last row group.
    fn row(&mut self) -> Option<Result<Option<ByteArray>, String>> {
        loop {
            let Some(group) = &mut self.group else {
                if self.next_group >= self.reader.num_row_groups() {
                    return None;
                }
                let at = self.next_group;
                self.next_group += 1;
                let before = &self.reader.metadata().row_groups()[..at];
                self.read = before.iter().map(|group| group.num_rows().max(0) as u64).sum();
                match guarded(|| open_group(&self.reader, at, self.column)) {
                    Ok(opened) => self.group = Some(opened),
                    Err(reason) => return Some(Err(reason)),
                }
                continue;
            };
            if let Some(row) = group.decoded.next() {
                self.read += 1;
                return Some(Ok(row));
            }
            if group.read == group.rows {
                self.group = None;
                continue;
            }
            if let Err(reason) = guarded(|| group.decode(self.level)) {
                self.group = None;
                return Some(Err(reason));
            }
        }
    }
}

fn holds_lists(column: &str, all: &str) -> String {
    format!("the column {column:?} holds lists; expected one text a row; its columns: {all}")
}

/// A message of the decoder, without the names that it gives its errors.
fn said(error: &ParquetError) -> String {
    let said = error.to_string();
    let said = said.strip_prefix("Parquet error: ").unwrap_or(&said);
    said.strip_prefix("Invalid Parquet file. ").unwrap_or(said).to_string()
}

/// Bytes without a logical type may be texts too, because old programs write none.
fn is_text(column: &ColumnDescPtr) -> bool {
    let kind = column.logical_type_ref();
    column.physical_type() == PhysicalType::BYTE_ARRAY
        && matches!(kind, None | Some(LogicalType::String | LogicalType::Enum | LogicalType::Json))
}

fn open_group(reader: &SerializedFileReader<File>, at: usize, column: usize) -> Result<Group, String> {
    let group = reader.get_row_group(at).map_err(|error| said(&error))?;
    let rows = u64::try_from(group.metadata().num_rows()).map_err(|_| "a negative number of rows")?;
    match group.get_column_reader(column).map_err(|error| said(&error))? {
        ColumnReader::ByteArrayColumnReader(reader) => {
            Ok(Group { reader, rows, read: 0, decoded: Vec::new().into_iter() })
        }
        _ => Err("the column does not hold texts".into()),
    }
}

impl Group {
    /// Decodes the next rows.
    fn decode(&mut self, there: i16) -> Result<(), String> {
        let (mut texts, mut levels) = (Vec::new(), Vec::new());
        let wanted = BATCH.min((self.rows - self.read) as usize);
        let (rows, _, _) = self
            .reader
            .read_records(wanted, (there > 0).then_some(&mut levels), None, &mut texts)
            .map_err(|error| said(&error))?;
        if rows == 0 || rows > wanted {
            return Err(format!("the column ends after {} of {} rows", self.read, self.rows));
        }
        self.read += rows as u64;
        let mut texts = texts.into_iter();
        let decoded: Vec<Option<ByteArray>> = if there > 0 {
            levels.iter().map(|level| if *level == there { texts.next() } else { None }).collect()
        } else {
            texts.map(Some).collect()
        };
        if decoded.len() != rows {
            return Err(format!("{} values for {rows} rows", decoded.len()));
        }
        self.decoded = decoded.into_iter();
        Ok(())
    }
}

impl Iterator for Rows {
    type Item = Result<String, DocumentError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.row()?;
        let group = format!("{}, row group {}", self.path, self.next_group - 1);
        let bytes = match row {
            Ok(row) => row,
            Err(reason) => return Some(Err(DocumentError { extent: Extent::RowGroup, place: group, reason })),
        };
        let text = bytes.ok_or("null".to_string()).and_then(|bytes| {
            let text = std::str::from_utf8(bytes.data()).map(str::to_string);
            text.map_err(|error| format!("not UTF-8 at byte {} of the text", error.valid_up_to()))
        });
        Some(text.map_err(|reason| {
            let place = format!("{group}, row {} of the file", self.read - 1);
            DocumentError { extent: Extent::Document, place, reason }
        }))
    }
}

/// Some damaged files make the decoder panic. The panics become errors.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("damaged: the decoder gave up".into()))
}
