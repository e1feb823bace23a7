//! Reads a CSV file that may be growing: whole lines only, from any byte, and from any round without reading all before.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use crate::mechanism::Column;
use crate::report::ReportError;
use crate::report::error::Named;
use crate::report::files::{check_header, whole_lines};
use crate::report::record::{Cells, Row};

/// Bytes that are searched line by line.
const BLOCK: u64 = 1 << 14;
/// Longest line. Longer ones are damage.
const LONGEST: u64 = 1 << 20;

/// A CSV file of these rows, whose first column is the round, in ascending order.
pub struct Table<R> {
    path: PathBuf,
    file: File,
    header: Vec<String>,
    /// Where the rows begin and end.
    start: u64,
    end: u64,
    row: PhantomData<R>,
}

impl<R: Row> Table<R> {
    /// Opens the file of these rows in a folder; `None` if it is missing or has no header yet.
    ///
    /// # Errors
    /// The file cannot be read, or has other columns.
    pub fn open(folder: &Path, columns: &[Column]) -> Result<Option<Self>, ReportError> {
        let path = folder.join(R::FILE);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.named(&path, "open")?,
        };
        let end = whole_lines(&mut file).named(&path, "read")?;
        if end == 0 {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(0)).named(&path, "read")?;
        let mut first = String::new();
        BufReader::new((&file).take(LONGEST)).read_line(&mut first).named(&path, "read")?;
        let header: Vec<String> = first.trim_end().split(',').map(str::to_string).collect();
        check_header::<R>(&path, &header, columns)?;
        Ok(Some(Self { path, file, header, start: first.len() as u64, end, row: PhantomData }))
    }

    /// The round of the first row.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub fn first_round(&self) -> Result<Option<u64>, ReportError> {
        // The byte before is the line break of the header.
        Ok(self.line_behind(self.start - 1)?.map(|(_, round)| round))
    }

    /// Where the last whole line ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The rows from a byte on, of rounds below `until`; and the byte behind them.
    ///
    /// # Errors
    /// The file cannot be read, or a line is damaged.
    pub fn rows(&self, from: u64, until: u64) -> Result<(Vec<R>, u64), ReportError> {
        let from = from.max(self.start);
        let part = self.part(from)?;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(part);
        let (mut rows, mut line) = (Vec::new(), csv::StringRecord::new());
        loop {
            let at = from + reader.position().byte();
            let read = reader.read_record(&mut line);
            if !read.map_err(|error| self.damaged(at, &error))? {
                return Ok((rows, at));
            }
            let round = line.get(0).and_then(|round| round.parse::<u64>().ok());
            if round.is_some_and(|round| round >= until) {
                return Ok((rows, at));
            }
            rows.push(R::read(&mut Cells::new(&self.header, &line)).map_err(|message| self.damaged(at, &message))?);
        }
    }

    /// The byte where the first row of this round or a later one begins, at or behind the byte `from`.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub fn place(&self, round: u64, from: u64) -> Result<u64, ReportError> {
        let mut low = from.max(self.start);
        let mut high = self.end;
        while high.saturating_sub(low) > BLOCK {
            let middle = low + (high - low) / 2;
            match self.line_behind(middle)? {
                Some((begin, found)) if begin < high && found < round => low = begin,
                Some((begin, _)) if begin < high => high = begin,
                _ => high = middle,
            }
        }
        let (mut lines, mut line) = (self.part(low)?, Vec::new());
        while let Some(length) = self.next_line(&mut lines, low, &mut line)? {
            if self.round_of(&line, low)? >= round {
                break;
            }
            low += length;
        }
        Ok(low)
    }

    /// The first line that begins behind a byte: where it begins, and its round.
    fn line_behind(&self, at: u64) -> Result<Option<(u64, u64)>, ReportError> {
        let (mut lines, mut line) = (self.part(at)?, Vec::new());
        let Some(rest) = self.next_line(&mut lines, at, &mut line)? else { return Ok(None) };
        let begin = at + rest;
        match self.next_line(&mut lines, begin, &mut line)? {
            Some(_) => Ok(Some((begin, self.round_of(&line, begin)?))),
            None => Ok(None),
        }
    }

    fn next_line(&self, lines: &mut impl BufRead, at: u64, line: &mut Vec<u8>) -> Result<Option<u64>, ReportError> {
        line.clear();
        let length = lines.take(LONGEST).read_until(b'\n', line).named(&self.path, "read")? as u64;
        if length == LONGEST {
            return Err(self.damaged(at, &"the line is too long"));
        }
        Ok((length > 0).then_some(length))
    }

    fn round_of(&self, line: &[u8], at: u64) -> Result<u64, ReportError> {
        let first = line.split(|byte| *byte == b',').next().unwrap_or_default();
        let round = std::str::from_utf8(first).ok().and_then(|text| text.parse().ok());
        round.ok_or_else(|| self.damaged(at, &"does not begin with a round"))
    }

    /// The whole lines from a byte on.
    fn part(&self, from: u64) -> Result<impl BufRead, ReportError> {
        (&self.file).seek(SeekFrom::Start(from)).named(&self.path, "read")?;
        Ok(BufReader::with_capacity(BLOCK as usize, (&self.file).take(self.end.saturating_sub(from))))
    }

    fn damaged(&self, at: u64, message: &dyn std::fmt::Display) -> ReportError {
        // Lines are counted only for the message.
        let before = (&self.file).seek(SeekFrom::Start(0)).map(|_| BufReader::new((&self.file).take(at)).split(b'\n'));
        let line = before.map_or(0, |lines| lines.count() as u64 + 1);
        ReportError::Csv { path: self.path.clone(), line, message: message.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{BaselineRow, PeerRow, RunFolder, sample};

    #[test]
    fn any_round_is_found_and_lines_are_read_as_they_come() {
        let dir = tempfile::tempdir().unwrap();
        let run = sample::copycat();
        let columns = &run.manifest.columns;
        assert!(Table::<PeerRow>::open(dir.path(), columns).unwrap().is_none());
        let mut folder = RunFolder::create(dir.path(), columns).unwrap();
        let rounds: Vec<&[PeerRow]> = run.peers.chunk_by(|a, b| a.round == b.round).collect();
        let mut at = 0;
        for (round, peers) in run.rounds.iter().zip(&rounds) {
            folder.append_round(round, peers).unwrap();
            let table = Table::<PeerRow>::open(dir.path(), columns).unwrap().unwrap();
            let (rows, behind) = table.rows(at, u64::MAX).unwrap();
            assert_eq!((rows.len(), rows[3].numbers.clone(), behind), (16, peers[3].numbers.clone(), table.end()));
            at = behind;
        }
        let table = Table::<PeerRow>::open(dir.path(), columns).unwrap().unwrap();
        for round in [0, 1, 2, 75, 148, 149] {
            let (rows, _) = table.rows(table.place(round, 0).unwrap(), round + 1).unwrap();
            assert!(rows.len() == 16 && rows.iter().all(|row| row.round == round), "{round}");
            assert_eq!(rows[0].incentive, rounds[round as usize][0].incentive);
        }
        assert_eq!(table.place(150, 0).unwrap(), table.end());
        assert_eq!(table.place(0, at).unwrap(), at, "it looks behind the byte only");
    }

    #[test]
    fn rounds_that_are_missing_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let lines: String = (0..9000).filter(|round| round % 7 != 3).map(|round| format!("{round},0.1,\n")).collect();
        std::fs::write(dir.path().join("baseline.csv"), format!("round,lr,loss\n{lines}77,0.")).unwrap();
        let table = Table::<BaselineRow>::open(dir.path(), &[]).unwrap().unwrap();
        for round in 0..9000 {
            let (rows, _) = table.rows(table.place(round, 0).unwrap(), round + 2).unwrap();
            let expected = if round % 7 == 3 { round + 1 } else { round };
            assert_eq!(rows.first().map(|row| row.round), Some(expected).filter(|round| *round < 9000));
        }
    }

    #[test]
    fn damage_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("baseline.csv"), "round,lr,loss\n0,0.1,2.5\n1,many,2.4\n2,0.1\n").unwrap();
        let table = Table::<BaselineRow>::open(dir.path(), &[]).unwrap().unwrap();
        let told = |from| table.rows(from, u64::MAX).unwrap_err().to_string();
        assert!(told(0).contains("baseline.csv, line 3: column lr"), "{}", told(0));
        assert!(told(table.place(2, 0).unwrap()).contains("line 4: the line is too short"));
        std::fs::write(dir.path().join("baseline.csv"), "round,loss\n").unwrap();
        assert!(Table::<BaselineRow>::open(dir.path(), &[]).is_err());
    }
}
