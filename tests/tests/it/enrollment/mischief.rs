//! A device that does something wrong gets so far and no further; and no answer of the server is a 401, after which devices
//! remove their management, but to a person's wrong password.

use http::header::AUTHORIZATION;
use lanyard_device::{
    enroll::{EnrollError, Invitation, Phase, StepError},
    http::Call,
    journal::Journal,
    manage::Managed,
    mischief::{Mischief, Told},
};

use super::stage::Stage;

/// What becomes of a device.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// In this phase, the server answered with this status.
    Refused(Phase, u16),
    /// In this phase, the server answered with a CertRep that says FAILURE.
    ScepFailed(Phase),
    /// In this phase, the device stopped by itself.
    Stopped(Phase),
    Enrolled,
}

fn expected(mischief: Mischief) -> Outcome {
    match mischief {
        Mischief::WrongPassword => Outcome::Refused(Phase::SignIn, 401),
        Mischief::AlterPhase2 | Mischief::ForeignPhase2 | Mischief::ReplayPhase2 => {
            Outcome::Refused(Phase::Identify, 400)
        }
        Mischief::WrongChallenge | Mischief::AlterCsr => {
            Outcome::ScepFailed(Phase::InterimCertificate)
        }
        Mischief::AlterPhase3 | Mischief::OtherDeviceInPhase3 | Mischief::ReplayPhase3 => {
            Outcome::Refused(Phase::Profile, 400)
        }
        Mischief::UnsignedCheckIn | Mischief::OtherUdidCheckIn => {
            Outcome::Refused(Phase::Authenticate, 400)
        }
        Mischief::NoTokenUpdate => Outcome::Stopped(Phase::TokenUpdate),
        // These show only once it is managed.
        Mischief::IgnorePush | Mischief::DuplicateResults | Mischief::LoseCommand => {
            Outcome::Enrolled
        }
    }
}

#[tokio::test]
async fn every_mischief_ends_in_its_phase() {
    let stage = Stage::start();
    for mischief in Mischief::all() {
        let outcome = match attempt(&stage, mischief).await {
            Ok(_) => Outcome::Enrolled,
            Err(EnrollError { phase, source }) => match source {
                StepError::Refused(answer) => Outcome::Refused(phase, answer.status),
                StepError::ScepFailed { .. } => Outcome::ScepFailed(phase),
                StepError::ToldToStop => Outcome::Stopped(phase),
                other => panic!("{mischief}: {phase}: {other:?}"),
            },
        };
        assert_eq!(outcome, expected(mischief), "{mischief}");
    }
}

async fn attempt(stage: &Stage, mischief: Mischief) -> Result<Managed, EnrollError> {
    let device = stage.site.new_device().unwrap();
    let journal = Journal::begin(&stage.site.devices(), &device.model, |_| {}).unwrap();
    let invitation = Invitation {
        link: &stage.site.url("/enroll"),
        credentials: &stage.credentials,
        courier: stage.courier(),
        told: &Told::new([mischief]),
    };
    Managed::enroll(device, &invitation, journal).await
}

#[tokio::test]
async fn nothing_that_is_sent_to_a_path_of_devices_is_answered_with_401() {
    let stage = Stage::start();
    let client = stage.site.client().unwrap();
    let paths = [
        "/",
        "/enroll/profile",
        "/scep/device",
        "/scep/device?operation=GetCACert",
        "/scep/device?operation=PKIOperation&message=AAAA",
        "/scep/device?operation=unknown",
        "/mdm/checkin",
        "/mdm/connect",
        "/no/such/path",
    ];
    let bodies: [&[u8]; 4] = [b"", b"\x30\x80", b"<plist><dict/></plist>", &[b'x'; 9000]];
    let authorizations = ["", "Basic bm9ib2R5Om5vdGhpbmc=", "Bearer of news"];
    for path in paths {
        let url = stage.site.url(path);
        for body in bodies {
            for authorization in authorizations {
                for call in [
                    Call::get(&url),
                    Call::post(&url, "application/pkcs7-signature", body.to_vec()),
                    Call::put(&url, "application/x-apple-aspen-mdm-checkin", body.to_vec()),
                ] {
                    let call = match authorization {
                        "" => call,
                        some => call.header(AUTHORIZATION, some),
                    };
                    let answer = client.send(&call).await.unwrap();
                    assert_ne!(answer.status, 401, "{path}");
                    assert!(answer.status < 500, "{path}: {}", answer.status);
                }
            }
        }
    }
    let basic = Call::get(stage.site.url("/enroll")).header(AUTHORIZATION, authorizations[1]);
    assert_eq!(client.send(&basic).await.unwrap().status, 401);
}
