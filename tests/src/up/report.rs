//! The numbered report.

/// How a step went.
enum Outcome {
    Proven(String),
    Failed(String),
    NotReached,
}

/// Collects the steps, and prints each as it is known.
pub(super) struct Report<P> {
    print: P,
    steps: usize,
    failed: Option<usize>,
}

impl<P: FnMut(&str)> Report<P> {
    pub(super) fn new(print: P) -> Self {
        Self {
            print,
            steps: 0,
            failed: None,
        }
    }

    /// Whether every step so far was proven.
    pub(super) fn is_good(&self) -> bool {
        self.failed.is_none()
    }

    /// A step with its proof, or with what is missing. After one that failed, the others were not reached: what is there of
    /// them proves nothing.
    pub(super) fn step(&mut self, seed: &str, proof: Result<String, String>) {
        let outcome = match proof {
            _ if self.failed.is_some() => Outcome::NotReached,
            Ok(proof) => Outcome::Proven(proof),
            Err(missing) => Outcome::Failed(missing),
        };
        self.write(seed, outcome);
    }

    pub(super) fn not_reached(&mut self, seed: &str) {
        self.write(seed, Outcome::NotReached);
    }

    fn write(&mut self, seed: &str, outcome: Outcome) {
        self.steps += 1;
        let (mark, text) = match outcome {
            Outcome::Proven(proof) => ("ok", proof),
            Outcome::Failed(missing) => {
                self.failed = Some(self.steps);
                ("FAILED", missing)
            }
            Outcome::NotReached => ("not reached", String::new()),
        };
        let text: Vec<String> = text
            .lines()
            .map(|line| format!("\n        {line}"))
            .collect();
        (self.print)(&format!(
            "{:2}. [{mark}] {seed}{}",
            self.steps,
            text.concat()
        ));
    }

    /// The last line.
    pub(super) fn summary(&self) -> String {
        match self.failed {
            None => format!(
                "\nAll {} steps happened, each with a proof from a second source.",
                self.steps
            ),
            Some(step) => format!("\nStep {step} of {} FAILED.", self.steps),
        }
    }
}
