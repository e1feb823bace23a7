//! Files that survive an interruption: whole files are replaced atomically, CSV files grow by whole lines.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use super::ReportError;
use super::error::Named;
use super::record::{Cells, Row, names};
use crate::mechanism::Column;

/// Writes a file so that readers find either the old content or the new one: writes a temporary file beside it, syncs
/// it to disk, and renames it.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).named(folder, "make the folder")?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).named(path, "write")?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).named(path, "write")?;
    file.persist(path).map_err(|error| error.error).named(path, "write")?;
    Ok(())
}

/// A CSV file that grows line by line.
#[derive(Debug)]
pub struct Appender<R> {
    path: PathBuf,
    file: File,
    /// Length of the whole lines in bytes.
    length: u64,
    /// The columns of the rows, but the one that only some runs have.
    header: String,
    row: PhantomData<R>,
}

impl<R: Row> Appender<R> {
    /// Opens a file of such rows in a folder, or starts it. A partial line of a killed process is cut off.
    pub fn open(folder: &Path, columns: &[Column]) -> Result<Self, ReportError> {
        let (path, header) = (folder.join(R::FILE), R::header(columns).join(","));
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).named(&path, "open")?;
        let length = whole_lines(&mut file).named(&path, "read")?;
        let mut this = Self { path, file, length, header: header.clone(), row: PhantomData };
        if length == 0 {
            this.extend(format!("{header}\n").as_bytes())?;
        } else {
            let mut found = String::new();
            this.rewound()?.read_line(&mut found).named(&this.path, "read")?;
            if found.trim_end() != header && found.trim_end() != with_sometimes::<R>(&header) {
                return Err(other_header(&this.path, &header, found.trim_end()));
            }
            this.cut(length)?;
        }
        Ok(this)
    }

    /// Appends lines, all or none.
    pub fn append(&mut self, rows: &[R]) -> Result<(), ReportError> {
        // The first row says whether the file has the column that only some runs have.
        let with_it = with_sometimes::<R>(&self.header);
        if self.length == self.header.len() as u64 + 1 && rows.first().is_some_and(R::has_sometimes) {
            self.cut(0)?;
            self.extend(format!("{with_it}\n").as_bytes())?;
        }
        let mut lines = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        for row in rows {
            lines.serialize(row).map_err(|error| self.broken(0, &error))?;
        }
        let lines = lines.into_inner().map_err(|error| self.broken(0, &error))?;
        self.extend(&lines)
    }

    /// Drops the lines of a round and of all later ones.
    pub fn truncate_to(&mut self, round: u64) -> Result<(), ReportError> {
        let mut kept = 0;
        for (index, line) in self.rewound()?.split(b'\n').enumerate() {
            let line = line.named(&self.path, "read")?;
            if index > 0 {
                let first = line.split(|byte| *byte == b',').next().unwrap_or_default();
                let number = std::str::from_utf8(first).ok().and_then(|text| text.parse::<u64>().ok());
                let number = number.ok_or_else(|| self.broken(index as u64 + 1, &"does not begin with a round"))?;
                if number >= round {
                    break;
                }
            }
            kept += line.len() as u64 + 1;
        }
        self.cut(kept)
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), ReportError> {
        if let Err(error) = self.file.write_all(bytes) {
            // A partial line must not stay before the next attempt; opening the file again repairs it too.
            let _ = self.file.set_len(self.length);
            return Err(error).named(&self.path, "append");
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn cut(&mut self, length: u64) -> Result<(), ReportError> {
        self.file.set_len(length).named(&self.path, "shorten")?;
        self.length = length;
        Ok(())
    }

    fn rewound(&self) -> Result<BufReader<&File>, ReportError> {
        (&self.file).seek(SeekFrom::Start(0)).named(&self.path, "read")?;
        Ok(BufReader::with_capacity(1 << 16, &self.file))
    }

    fn broken(&self, line: u64, error: &dyn std::fmt::Display) -> ReportError {
        ReportError::Csv { path: self.path.clone(), line, message: error.to_string() }
    }
}

/// Bytes up to and including the last line break.
pub(super) fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// All whole lines of the file of these rows in a folder; `None` if there is no such file.
pub fn read_rows<R: Row>(folder: &Path, columns: &[Column]) -> Result<Option<Vec<R>>, ReportError> {
    let path = folder.join(R::FILE);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.named(&path, "open")?,
    };
    let length = whole_lines(&mut file).named(&path, "read")?;
    file.seek(SeekFrom::Start(0)).named(&path, "read")?;
    let mut reader = csv::Reader::from_reader(BufReader::with_capacity(1 << 16, file.take(length)));
    let broken = |line, message| ReportError::Csv { path: path.clone(), line, message };
    let unread = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                broken(line, format!("expected {expected_len} columns, found {len}"))
            }
            _ => broken(line, error.to_string()),
        }
    };
    let found: Vec<String> = reader.headers().map_err(&unread)?.iter().map(str::to_string).collect();
    check_header::<R>(&path, &found, columns)?;
    let (mut rows, mut line) = (Vec::new(), csv::StringRecord::new());
    while reader.read_record(&mut line).map_err(&unread)? {
        let number = line.position().map_or(0, csv::Position::line);
        rows.push(R::read(&mut Cells::new(&found, &line)).map_err(|message| broken(number, message))?);
    }
    Ok(Some(rows))
}

/// Checks that a file has the columns of these rows, or those of an earlier version.
pub(super) fn check_header<R: Row>(path: &Path, found: &[String], columns: &[Column]) -> Result<(), ReportError> {
    let header = R::header(columns);
    let found = match found.split_last() {
        Some((last, others)) if !R::SOMETIMES.is_empty() && last == R::SOMETIMES => others,
        _ => found,
    };
    let earlier = header.iter().filter(|name| !names(R::NEWER).any(|newer| newer == *name));
    if found == header || found.iter().eq(earlier) {
        return Ok(());
    }
    Err(other_header(path, &header.join(","), &found.join(",")))
}

/// A header with the column that only some runs have.
fn with_sometimes<R: Row>(header: &str) -> String {
    if R::SOMETIMES.is_empty() { header.into() } else { format!("{header},{}", R::SOMETIMES) }
}

/// The bytes of rows as a whole file.
pub fn csv_file<R: Row>(rows: &[R], columns: &[Column]) -> Result<Vec<u8>, csv::Error> {
    let header = R::header_of(rows, columns).join(",");
    let mut lines = csv::WriterBuilder::new().has_headers(false).from_writer(format!("{header}\n").into_bytes());
    rows.iter().try_for_each(|row| lines.serialize(row))?;
    lines.into_inner().map_err(|error| error.into_error().into())
}

fn other_header(path: &Path, expected: &str, found: &str) -> ReportError {
    let message = format!("expected the columns \"{expected}\", found \"{found}\"");
    ReportError::Csv { path: path.to_path_buf(), line: 1, message }
}

#[cfg(test)]
mod tests {
    use super::super::record::{BaselineRow, LeaderboardRow, PeerRow, RoundRow};
    use super::*;
    use crate::report::sample;

    #[test]
    fn columns_of_the_mechanism_stand_between_the_others() {
        let columns = sample::columns();
        assert_eq!(
            PeerRow::header(&columns).join(","),
            "round,uid,behaviour,status,steps_behind,loss_score_assigned,loss_score_unassigned,rating_mu,rating_sigma,\
             proof_of_computation,peer_score,incentive,aggregated,tokens,bytes_up,bytes_down"
        );
        assert_eq!(
            LeaderboardRow::header(&columns).join(","),
            "uid,behaviour,incentive_final,incentive_total,peer_score,rating_mu,rating_sigma,proof_of_computation,\
             rounds_aggregated,rounds_failed,rounds_registered,tokens,bytes_up,bytes_down,work,pay,profit"
        );
        assert_eq!(LeaderboardRow::header(&[]).len(), 13);
    }

    #[test]
    fn rows_have_a_cell_for_each_column_of_the_header() {
        let run = sample::copycat();
        let cells = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            let mut lines = text.lines().map(|line| line.split(',').count());
            (lines.next().unwrap(), lines.next().unwrap())
        };
        for columns in [sample::columns(), Vec::new()] {
            let numbers = vec![None; columns.len()];
            let peer = PeerRow { numbers, ..run.peers[0].clone() };
            let (header, line) = cells(csv_file(&[peer], &columns).unwrap());
            assert_eq!(header, line);
        }
        let (header, line) = cells(csv_file(&run.leaderboard, &sample::columns()).unwrap());
        assert_eq!(header, line);
        let (header, line) = cells(csv_file(&run.rounds, &[]).unwrap());
        assert_eq!(header, line);
    }

    #[test]
    fn rounds_of_earlier_versions_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut rounds = sample::copycat().rounds;
        let text = String::from_utf8(csv_file(&rounds, &[]).unwrap()).unwrap();
        let without = |line: &str| {
            let mut cells: Vec<&str> = line.split(',').collect();
            cells.remove(7);
            cells.join(",") + "\n"
        };
        std::fs::write(folder.path().join("rounds.csv"), text.lines().map(without).collect::<String>()).unwrap();
        rounds.iter_mut().for_each(|row| row.forward_passes = None);
        assert_eq!(read_rows(folder.path(), &[]).unwrap(), Some(rounds));
        assert_eq!(earlier_peers(folder.path(), "incentive,aggregated"), Ok((Some(0.5), None)));
        assert_eq!(
            earlier_peers(folder.path(), "incentive,aggregated,tokens,bytes_up,bytes_down"),
            Ok((Some(0.5), Some(7)))
        );
        let message = earlier_peers(folder.path(), "incentive,aggregated,tokens").unwrap_err();
        assert!(message.contains("line 1: expected the columns"), "{message}");
        // Lines with other columns are not appended.
        let message = Appender::<RoundRow>::open(folder.path(), &[]).unwrap_err().to_string();
        assert!(message.contains("line 1: expected the columns"), "{message}");
    }

    /// Reads a peer's mechanism number and tokens from a file whose header ends with these columns.
    fn earlier_peers(folder: &Path, end: &str) -> Result<(Option<f64>, Option<u64>), String> {
        let columns = [Column::new("novelty", "novelty", crate::mechanism::ColumnKind::Score)];
        let cells: Vec<&str> = "0.25,true,7,8,9".split(',').take(end.split(',').count()).collect();
        let lines = format!(
            "round,uid,behaviour,status,steps_behind,novelty,{end}\n0,1,honest,passed,0.0,0.5,{}\n",
            cells.join(",")
        );
        std::fs::write(folder.join("peers.csv"), lines).unwrap();
        let rows: Vec<PeerRow> = read_rows(folder, &columns).map_err(|error| error.to_string())?.unwrap();
        assert_eq!((rows[0].incentive, rows[0].bytes_down), (0.25, rows[0].tokens.map(|tokens| tokens + 2)));
        Ok((rows[0].numbers[0], rows[0].tokens))
    }

    #[test]
    fn a_malformed_number_is_named_with_its_column() {
        let folder = tempfile::tempdir().unwrap();
        let columns = [Column::new("novelty", "novelty", crate::mechanism::ColumnKind::Score)];
        let header = "round,uid,behaviour,status,steps_behind,novelty,incentive,aggregated\n";
        let path = folder.path().join("peers.csv");
        std::fs::write(&path, format!("{header}0,1,honest,passed,0.0,0.5,0.25,true\n")).unwrap();
        let rows: Vec<PeerRow> = read_rows(folder.path(), &columns).unwrap().unwrap();
        assert_eq!((rows[0].numbers.as_slice(), rows[0].incentive), (&[Some(0.5)][..], 0.25));
        std::fs::write(&path, format!("{header}0,1,honest,passed,,,0.25,true\n0,2,honest,passed,,much,0,true\n"))
            .unwrap();
        let message = read_rows::<PeerRow>(folder.path(), &columns).unwrap_err().to_string();
        assert!(message.contains("peers.csv, line 3: column novelty: ") && message.contains("\"much\""), "{message}");
        let message = read_rows::<PeerRow>(folder.path(), &[]).unwrap_err().to_string();
        assert!(message.contains("line 1: expected the columns"), "{message}");
        std::fs::write(&path, format!("{header}0,1,honest,asleep,,,0.25,true\n")).unwrap();
        let message = read_rows::<PeerRow>(folder.path(), &columns).unwrap_err().to_string();
        assert!(message.contains("line 2: column status: "), "{message}");
    }

    fn baseline(round: u64) -> BaselineRow {
        let loss = (round % 2 == 1).then_some(1e-300 * round as f64);
        BaselineRow { round, lr: 1.0 / 3.0, loss, average_loss: None }
    }

    #[test]
    fn only_runs_with_an_average_have_its_column() {
        let averaged = |round| BaselineRow { average_loss: Some((round % 2 == 1).then_some(0.25)), ..baseline(round) };
        for (with, header) in [(false, "round,lr,loss"), (true, "round,lr,loss,average_loss")] {
            let folder = tempfile::tempdir().unwrap();
            let row = |round| if with { averaged(round) } else { baseline(round) };
            let mut lines = Appender::open(folder.path(), &[]).unwrap();
            lines.append(&[row(0), row(1)]).unwrap();
            // Opened again, and from its first round again.
            let mut lines = Appender::open(folder.path(), &[]).unwrap();
            lines.append(&[row(2)]).unwrap();
            let all = [row(0), row(1), row(2)];
            assert_eq!(read_rows(folder.path(), &[]).unwrap().as_deref(), Some(&all[..]));
            let text = std::fs::read(folder.path().join("baseline.csv")).unwrap();
            assert_eq!(text, csv_file(&all, &[]).unwrap());
            assert_eq!(text.split(|byte| *byte == b'\n').next(), Some(header.as_bytes()));
            lines.truncate_to(0).unwrap();
            let mut lines = Appender::open(folder.path(), &[]).unwrap();
            lines.append(&all).unwrap();
            assert_eq!(std::fs::read(folder.path().join("baseline.csv")).unwrap(), text);
        }
    }

    #[test]
    fn the_partial_line_of_a_killed_process_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = Appender::open(folder.path(), &[]).unwrap();
        lines.append(&[baseline(0), baseline(1)]).unwrap();
        lines.file.write_all(b"2,0.33").unwrap();
        let two = Some(vec![baseline(0), baseline(1)]);
        assert_eq!(read_rows::<BaselineRow>(folder.path(), &[]).unwrap(), two);
        let mut lines = Appender::open(folder.path(), &[]).unwrap();
        assert_eq!(read_rows(folder.path(), &[]).unwrap(), two);
        lines.append(&[baseline(2)]).unwrap();
        assert_eq!(read_rows::<BaselineRow>(folder.path(), &[]).unwrap().unwrap()[2], baseline(2));
    }

    #[test]
    fn truncation_keeps_the_rounds_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = Appender::open(folder.path(), &[]).unwrap();
        let rows: Vec<_> = (0..2000).map(baseline).collect();
        lines.append(&rows).unwrap();
        for kept in [5000, 2000, 1234, 1, 0] {
            lines.truncate_to(kept).unwrap();
            let expected = &rows[..rows.len().min(kept as usize)];
            assert_eq!(read_rows(folder.path(), &[]).unwrap().as_deref(), Some(expected));
        }
        lines.append(&rows[..1]).unwrap();
        assert_eq!(read_rows(folder.path(), &[]).unwrap().as_deref(), Some(&rows[..1]));
    }

    #[test]
    fn damage_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("baseline.csv");
        std::fs::write(&path, "round,lr,loss\n0,0.1,2.5\n1,many,2.4\n").unwrap();
        let message = read_rows::<BaselineRow>(folder.path(), &[]).unwrap_err().to_string();
        assert!(message.contains("baseline.csv, line 3: column lr: "), "{message}");
        std::fs::write(&path, "round,lr\n0,0.1\n").unwrap();
        let message = read_rows::<BaselineRow>(folder.path(), &[]).unwrap_err().to_string();
        assert!(message.contains("line 1: expected the columns \"round,lr,loss\""), "{message}");
        assert_eq!(Appender::<BaselineRow>::open(folder.path(), &[]).unwrap_err().to_string(), message);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_reported_with_the_file_and_advice() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let path = PathBuf::from("rounds.csv");
        let header = "round,lr,loss".into();
        let mut lines = Appender::<BaselineRow> { path, file: full, length: 0, header, row: PhantomData };
        let message = lines.append(&[baseline(0)]).unwrap_err().to_string();
        assert!(message.contains("rounds.csv: cannot append") && message.contains("--resume"), "{message}");
    }

    #[test]
    fn replacing_leaves_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plots/loss.svg");
        replace(&path, b"old and long").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
