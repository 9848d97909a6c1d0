//! Adds up the closing lines of the test binaries, so that a run of many ends with one total.

use std::fmt;

/// Sums over all `test result:` lines seen so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    binaries: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
    filtered_out: u64,
}

impl Total {
    /// Takes one line of output; every line that is not a closing line is left alone.
    pub(crate) fn add(&mut self, line: &str) {
        let Some(counts) = line.trim().strip_prefix("test result: ") else {
            return;
        };
        self.binaries += 1;
        // "ok. 3 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.02s"
        for count in counts.split(['.', ';']).map(str::trim) {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                "filtered out" => self.filtered_out += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} ignored, {} filtered out, in {} test runs",
            self.passed, self.failed, self.ignored, self.filtered_out, self.binaries
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up_and_other_lines_do_not() {
        let mut total = Total::default();
        for line in [
            "running 5 tests",
            "test result_is_kept ... ok",
            "test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.02s",
            "a test printed: 7 passed",
            "test result: FAILED. 10 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s",
        ] {
            total.add(line);
        }
        assert_eq!(
            total.to_string(),
            "14 passed, 3 failed, 1 ignored, 2 filtered out, in 2 test runs"
        );
    }
}
