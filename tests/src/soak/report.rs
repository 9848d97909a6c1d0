//! What came of a run.

use std::{fmt, sync::atomic::Ordering, time::Duration};

use sea_orm::{ConnectionTrait as _, Database, Statement};

use super::{
    Complaint, Kills, World,
    oracle::{Oracle, Progress},
};
use crate::site::Site;

/// Complaints that are shown.
const SHOWN: usize = 20;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What everything that happened by chance follows from.
    pub seed: u64,
    /// Devices that are enrolled.
    pub devices: usize,
    /// Commands that were queued, and confirmed.
    pub commands: usize,
    /// Those whose result was taken, and confirmed.
    pub settled: usize,
    /// Where kills landed.
    pub kills: Kills,
    /// What the server was caught at: nothing.
    pub complaints: Vec<Complaint>,
    traffic: Vec<(&'static str, u64)>,
    elapsed: Duration,
}

impl Report {
    pub(super) fn of(world: &World, elapsed: Duration) -> Self {
        let Progress {
            enrolled,
            queued,
            settled,
        } = world.oracle.progress();
        let traffic = &world.traffic;
        let traffic = [
            ("requests", &traffic.requests),
            ("without an answer", &traffic.unanswered),
            ("answers lost", &traffic.lost),
            ("results sent twice", &traffic.duplicates),
            ("commands put off", &traffic.put_off),
            ("certificates asked for again", &traffic.sent_again),
        ];
        Self {
            seed: world.options.seed,
            devices: enrolled,
            commands: queued,
            settled,
            kills: world.all_kills().clone(),
            complaints: world.oracle.complaints(),
            traffic: traffic
                .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
                .to_vec(),
            elapsed,
        }
    }

    /// Whether nothing was lost, and everything done.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.complaints.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: String| writeln!(f, "{name:<30}{value:>10}");
        line("seed", self.seed.to_string())?;
        line("devices enrolled", self.devices.to_string())?;
        line("commands queued", self.commands.to_string())?;
        line("commands done", self.settled.to_string())?;
        for (name, count) in &self.traffic {
            line(name, count.to_string())?;
        }
        line("kills", self.kills.count().to_string())?;
        line("seconds", format!("{:.1}", self.elapsed.as_secs_f64()))?;
        if self.kills.count() > 0 {
            write!(f, "\n{}", self.kills)?;
        }
        let count = self.complaints.len();
        match count {
            0 => writeln!(f, "\nNothing was lost, repeated or issued twice."),
            _ => writeln!(f, "\n{count} complaints:"),
        }?;
        for complaint in self.complaints.iter().take(SHOWN) {
            writeln!(f, "  {complaint}")?;
        }
        if count > SHOWN {
            writeln!(f, "  and {} more", count - SHOWN)?;
        }
        Ok(())
    }
}

/// A device asks for one interim certificate and one identity in each session, however often it has to.
pub(super) async fn count_certificates(site: &Site, oracle: &Oracle) -> Result<(), String> {
    let twice = "SELECT CAST(count(*) AS bigint) AS sessions FROM (SELECT 1 AS one FROM certificate \
                 WHERE session_id IS NOT NULL GROUP BY session_id, purpose HAVING count(*) > 1) AS twice";
    let counted = async {
        let database = Database::connect(site.database_url()).await?;
        let statement = Statement::from_string(database.get_database_backend(), twice);
        let row = database.query_one_raw(statement).await?;
        let sessions = row.map(|row| row.try_get::<i64>("", "sessions"));
        database.close().await?;
        sessions.transpose()
    };
    let sessions = counted.await.map_err(|error| error.to_string())?;
    if let Some(sessions) = sessions.filter(|sessions| *sessions > 0) {
        let whom = format!("{sessions} sessions");
        oracle.complain(Complaint::IssuedTwice { whom });
    }
    Ok(())
}
