//! Letting a device go on purpose.
//!
//! Sent only where an operator asked for it: a device that gets this removes its management profile and everything that it
//! installed. Never 401: older systems take that for the same request, on any URL (Apple, "ErrorCodeUnrecognizedDevice").

/// HTTP status of the answer.
pub const STATUS: u16 = 403;

/// Content type of [`DOCUMENT`].
pub const CONTENT_TYPE: &str = "application/json";

/// `com.apple.unrecognized.device`, understood from iOS and tvOS 17, macOS 14, visionOS 1.1 and watchOS 10 on. Older systems
/// keep the profile and try again later.
pub const DOCUMENT: &[u8] = br#"{"code":"com.apple.unrecognized.device"}"#;

/// Whether an answer tells the device to unenroll (client half): the status is 403 and the body carries the code, as JSON or as
/// a property list. 401 counts too, as it does on a device.
#[must_use]
pub fn is_dismissal(status: u16, body: &[u8]) -> bool {
    const CODE: &[u8] = b"com.apple.unrecognized.device";
    status == 401 || (status == STATUS && body.windows(CODE.len()).any(|window| window == CODE))
}
