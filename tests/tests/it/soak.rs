//! Short runs of `cargo xtask soak`, and of the fault that it must find.

use std::io::Write as _;

use lanyard_tests::soak::{self, Complaint, Options, Report, Sabotage};

/// Two cores are few: what is in flight is waited for by the server.
const IN_FLIGHT: usize = 16;

fn options() -> Options {
    Options {
        devices: 30,
        commands: 200,
        kills: 3,
        in_flight: IN_FLIGHT,
        lost: 5,
        not_now: 5,
        duplicates: 1,
        seed: 7,
        minutes: 10,
        recruiters: 12,
        operators: 16,
        sabotage: None,
    }
}

async fn run(options: &Options) -> Report {
    let report = soak::run(options).await.unwrap();
    let _ = writeln!(std::io::stderr(), "{report}");
    report
}

fn expect_good(report: &Report, options: &Options) {
    assert!(report.is_good(), "{report}");
    assert_eq!(report.devices, options.devices);
    assert!(report.commands >= options.commands);
    assert_eq!(report.settled, report.commands);
    assert_eq!(report.kills.count(), options.kills);
    assert!(report.kills.fewest() >= IN_FLIGHT, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_settles_over_lost_answers_duplicates_and_kills() {
    let options = options();
    expect_good(&run(&options).await, &options);
}

/// Kill after kill, so that each moment of an enrollment and of a command has its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_again_and_again_keeps_what_it_said() {
    let options = Options {
        devices: 24,
        commands: 300,
        kills: 12,
        seed: 11,
        ..options()
    };
    expect_good(&run(&options).await, &options);
}

/// The oracle is worth what it finds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_before_the_commit_is_found() {
    let options = Options {
        sabotage: Some(Sabotage::ReplyBeforeCommit),
        ..options()
    };
    let report = run(&options).await;
    let found = |is_one: fn(&Complaint) -> bool| report.complaints.iter().any(is_one);
    // Which of them, goes by what was under way when the server died.
    assert!(found(|found| matches!(
        found,
        Complaint::DeviceLost { .. } | Complaint::CommandLost { .. } | Complaint::AnswerLost { .. }
    )));
    assert!(found(|found| matches!(
        found,
        Complaint::DeliveredAgain { .. }
    )));
}
