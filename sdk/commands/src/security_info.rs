//! SecurityInfo.

use plist::{Data, Dictionary, Value};
use serde::Deserialize;

use crate::AnswerError;
use crate::answer::tolerant;

/// Asks how the device is protected. Apple: "Security Info Command". It has no keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecurityInfo;

impl SecurityInfo {
    /// The name on the wire.
    pub const REQUEST_TYPE: &'static str = "SecurityInfo";
}

/// What a device answers to [`SecurityInfo`]: each field only where its platform has it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SecurityInfoAnswer {
    /// `HardwareEncryptionCaps`: 1 block-level, 2 file-level, 3 both. Not on macOS.
    pub hardware_encryption_caps: Option<i64>,
    /// `PasscodePresent`. Not on macOS.
    pub passcode_present: Option<bool>,
    /// `PasscodeCompliant`: with all requirements, those of accounts included. Not on macOS.
    pub passcode_compliant: Option<bool>,
    /// `PasscodeCompliantWithProfiles`: with those of profiles. Not on macOS.
    pub passcode_compliant_with_profiles: Option<bool>,
    /// `PasscodeLockGracePeriod`: seconds until a locked screen asks, as the person set it (iOS 9.3.2).
    pub passcode_lock_grace_period: Option<i64>,
    /// `PasscodeLockGracePeriodEnforced`: the same, as profiles limit it (iOS 9.3.2).
    pub passcode_lock_grace_period_enforced: Option<i64>,
    /// `AutoLockTime`: seconds (Shared iPad, iOS 17).
    pub auto_lock_time: Option<i64>,
    /// `FDE_Enabled`: FileVault is on (macOS 10.9, as all below).
    #[serde(rename = "FDE_Enabled")]
    pub fde_enabled: Option<bool>,
    /// `FDE_HasPersonalRecoveryKey`
    #[serde(rename = "FDE_HasPersonalRecoveryKey")]
    pub fde_has_personal_recovery_key: Option<bool>,
    /// `FDE_HasInstitutionalRecoveryKey`
    #[serde(rename = "FDE_HasInstitutionalRecoveryKey")]
    pub fde_has_institutional_recovery_key: Option<bool>,
    /// `FDE_PersonalRecoveryKeyCMS`: the recovery key, enveloped to the certificate of the escrow payload (10.13).
    #[serde(rename = "FDE_PersonalRecoveryKeyCMS")]
    pub fde_personal_recovery_key_cms: Option<Data>,
    /// `FDE_PersonalRecoveryKeyDeviceKey`: what the escrow is filed under (10.13).
    #[serde(rename = "FDE_PersonalRecoveryKeyDeviceKey")]
    pub fde_personal_recovery_key_device_key: Option<String>,
    /// `SystemIntegrityProtectionEnabled` (10.12)
    pub system_integrity_protection_enabled: Option<bool>,
    /// `FirewallSettings` (10.12)
    pub firewall_settings: Option<FirewallSettings>,
    /// `FirmwarePasswordStatus` (10.13)
    pub firmware_password_status: Option<FirmwarePasswordStatus>,
    /// `ManagementStatus` (iOS 13, macOS 10.13.2)
    pub management_status: Option<ManagementStatus>,
    /// `SecureBoot` (10.15)
    pub secure_boot: Option<SecureBoot>,
    /// `RemoteDesktopEnabled` (10.14.4)
    pub remote_desktop_enabled: Option<bool>,
    /// `AuthenticatedRootVolumeEnabled` (11)
    pub authenticated_root_volume_enabled: Option<bool>,
    /// `BootstrapTokenAllowedForAuthentication`: `allowed`, `disallowed` or `not supported` (11)
    pub bootstrap_token_allowed_for_authentication: Option<String>,
    /// `BootstrapTokenRequiredForSoftwareUpdate` (11)
    pub bootstrap_token_required_for_software_update: Option<bool>,
    /// `BootstrapTokenRequiredForKernelExtensionApproval` (11)
    pub bootstrap_token_required_for_kernel_extension_approval: Option<bool>,
    /// `IsRecoveryLockEnabled` (11.5)
    pub is_recovery_lock_enabled: Option<bool>,
    /// Keys that came with another type than Apple documents, and were left out.
    #[serde(skip)]
    pub mistyped: Vec<String>,
}

/// The application firewall of a Mac.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct FirewallSettings {
    /// `FirewallEnabled`
    pub firewall_enabled: Option<bool>,
    /// `BlockAllIncoming`
    pub block_all_incoming: Option<bool>,
    /// `StealthMode`
    pub stealth_mode: Option<bool>,
    /// `LoggingEnabled` (macOS 12)
    pub logging_enabled: Option<bool>,
    /// `LoggingOption`: `throttled`, `brief` or `detail` (macOS 12)
    pub logging_option: Option<String>,
    /// `Applications`
    pub applications: Vec<FirewallApplication>,
}

/// An application that the firewall has a rule for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct FirewallApplication {
    /// `BundleID`
    #[serde(rename = "BundleID")]
    pub bundle_id: Option<String>,
    /// `Name`
    pub name: Option<String>,
    /// `Allowed`
    pub allowed: Option<bool>,
}

/// The firmware password of an Intel Mac.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct FirmwarePasswordStatus {
    /// `PasswordExists`
    pub password_exists: Option<bool>,
    /// `ChangePending`: takes effect with the next restart.
    pub change_pending: Option<bool>,
    /// `AllowOroms`
    pub allow_oroms: Option<bool>,
}

/// How the device came under management.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ManagementStatus {
    /// `EnrolledViaDEP`. macOS only.
    #[serde(rename = "EnrolledViaDEP")]
    pub enrolled_via_dep: Option<bool>,
    /// `UserApprovedEnrollment`. macOS only.
    pub user_approved_enrollment: Option<bool>,
    /// `IsUserEnrollment`
    pub is_user_enrollment: Option<bool>,
    /// `IsActivationLockManageable`. macOS only.
    pub is_activation_lock_manageable: Option<bool>,
}

/// What a Mac lets start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SecureBoot {
    /// `SecureBootLevel`: `off`, `medium`, `full` or `not supported`
    pub secure_boot_level: Option<String>,
    /// `ExternalBootLevel`: `allowed`, `disallowed` or `not supported`
    pub external_boot_level: Option<String>,
}

impl SecurityInfoAnswer {
    /// Reads the response dictionary.
    ///
    /// # Errors
    /// [`AnswerError`] if `SecurityInfo` is not there or no dictionary.
    pub fn from_dictionary(response: &Dictionary) -> Result<Self, AnswerError> {
        let info = response
            .get("SecurityInfo")
            .and_then(Value::as_dictionary)
            .ok_or(AnswerError {
                request_type: SecurityInfo::REQUEST_TYPE,
                key: "SecurityInfo",
                expected: "a dictionary",
            })?;
        let (answer, mistyped) = tolerant::<Self>(info);
        Ok(Self { mistyped, ..answer })
    }
}
