//! The paths of the device listener. They stand in profiles on devices: a path that was once served stays.

/// The page where a person signs in.
pub const ENROLL: &str = "/enroll";
/// Where a person goes on with what a directory asked for.
pub const STEP: &str = "/enroll/step";
/// Where a person comes back to from where a directory sent them: each binding has an address of its own, so that the answer of one
/// place is not taken for another's (RFC 9700, 4.4.2.2).
pub const CALLBACK: &str = "/enroll/callback/{binding}";
/// Its style sheet.
pub const STYLE: &str = "/enroll/style.css";
/// The root of the server's TLS certificate, where it is not a public one.
pub const ANCHOR: &str = "/enroll/root.cer";
/// Phases 2 and 3.
pub const PROFILE_SERVICE: &str = "/enroll/profile";
/// SCEP for devices.
pub const SCEP: &str = "/scep/device";
/// Check-in.
pub const CHECK_IN: &str = "/mdm/checkin";
/// Commands.
pub const CONNECT: &str = "/mdm/connect";

/// All of them, and what is none, as counters and traces name them.
pub(super) const ALL: [&str; 10] = [
    ENROLL,
    STEP,
    CALLBACK,
    STYLE,
    ANCHOR,
    PROFILE_SERVICE,
    SCEP,
    CHECK_IN,
    CONNECT,
    OTHER,
];
/// Every other path.
const OTHER: &str = "other";

/// The name of the route that a request took; SCEP has several that are one.
pub(super) fn named(matched: Option<&str>) -> &'static str {
    let matched = matched.unwrap_or_default();
    let known = ALL.into_iter().find(|path| *path == matched);
    known.unwrap_or(if matched.starts_with(SCEP) {
        SCEP
    } else {
        OTHER
    })
}
