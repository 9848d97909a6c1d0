//! The 66 commands of Apple's schema, release iOS 18.1 / macOS 15.1 (github.com/apple/device-management, `mdm/commands`),
//! in the order of their names. Whether a command is destructive is our own judgement.

use super::{Facts, command, ios, macos, tvos, visionos, watchos};
use crate::AccessRights;

// One platform a line reads as a table; rustfmt would spread each over several.
#[rustfmt::skip]
pub(super) static TABLE: [Facts; 66] = [
    command("AccountConfiguration", AccessRights::NONE, [
        macos("10.11").automated().no_user_enrollment(),
    ]),
    command("ActivationLockBypassCode", AccessRights::NONE, [
        ios("7.1").supervised().no_user_enrollment(),
        macos("10.15").supervised().no_user_enrollment(),
        visionos("2.0").supervised().no_user_enrollment(),
    ]),
    command("ActiveNSExtensions", AccessRights::QUERY_APPLICATIONS, [
        macos("10.13").no_user_enrollment().user_channel_only(),
    ]),
    command("ApplyRedemptionCode", AccessRights::MANAGE_APPLICATIONS, [
        ios("5.0").no_user_enrollment(),
    ]),
    command("AvailableOSUpdates", AccessRights::MANAGE_APPLICATIONS, [
        ios("9.0").supervised().no_user_enrollment(),
        macos("10.11").no_user_enrollment(),
        tvos("12.0").supervised(),
    ]),
    command("CertificateList", AccessRights::INSPECT, [
        ios("4.0"),
        macos("10.7").user_channel(),
        tvos("9.0"),
        visionos("1.1"),
        watchos("10.0"),
    ]),
    command("ClearActivationLockBypassCode", AccessRights::NONE, [
        ios("7.1").supervised().no_user_enrollment(),
        macos("10.15").supervised().no_user_enrollment(),
        visionos("2.0").supervised().no_user_enrollment(),
    ]),
    command("ClearPasscode", AccessRights::LOCK_AND_REMOVE_PASSCODE, [
        ios("4.0").no_user_enrollment(),
        visionos("1.1").no_user_enrollment(),
        watchos("10.0"),
    ]).destructive().never_not_now_on_ios(),
    command("ClearRestrictionsPassword", AccessRights::NONE, [
        ios("8.0").supervised().no_user_enrollment(),
    ]).destructive(),
    command("ContentCachingInformation", AccessRights::QUERY_NETWORK, [
        macos("10.15.4").no_user_enrollment(),
    ]),
    command("DeclarativeManagement", AccessRights::NONE, [
        ios("15.0").user_channel(),
        macos("13.0").user_channel(),
        tvos("16.0"),
        visionos("1.1"),
        watchos("10.0"),
    ]),
    command("DeleteUser", AccessRights::NONE, [
        ios("9.3").no_user_enrollment(),
        macos("10.13").supervised().no_user_enrollment(),
    ]).destructive(),
    command("DeviceConfigured", AccessRights::NONE, [
        ios("9.0").supervised().automated().no_user_enrollment(),
        macos("10.11").automated().no_user_enrollment(),
        tvos("10.2").supervised(),
        visionos("2.0").supervised().automated().no_user_enrollment(),
    ]),
    command("DeviceInformation", AccessRights::NONE, [
        ios("4.0").user_channel(),
        macos("10.7").user_channel(),
        tvos("9.0"),
        visionos("1.1"),
        watchos("10.0"),
    ]).never_not_now_on_ios(),
    command("DeviceLocation", AccessRights::NONE, [
        ios("9.3").supervised().no_user_enrollment(),
    ]),
    command("DeviceLock", AccessRights::LOCK_AND_REMOVE_PASSCODE, [
        ios("4.0"),
        macos("10.7").no_user_enrollment(),
        visionos("2.0"),
        watchos("10.0"),
    ]).destructive().never_not_now_on_ios(),
    command("DisableLostMode", AccessRights::NONE, [
        ios("9.3").supervised().no_user_enrollment(),
    ]),
    command("DisableRemoteDesktop", AccessRights::NONE, [
        macos("10.14.4").supervised().no_user_enrollment(),
    ]),
    command("EnableLostMode", AccessRights::NONE, [
        ios("9.3").supervised().no_user_enrollment(),
    ]).destructive(),
    command("EnableRemoteDesktop", AccessRights::NONE, [
        macos("10.14.4").supervised().no_user_enrollment(),
    ]),
    command("EraseDevice", AccessRights::ERASE, [
        ios("4.0").no_user_enrollment(),
        macos("10.7").no_user_enrollment(),
        tvos("10.2"),
        visionos("1.1").no_user_enrollment(),
        watchos("10.0"),
    ]).destructive().never_not_now_on_ios(),
    command("InstallApplication", AccessRights::MANAGE_APPLICATIONS, [
        ios("5.0"),
        macos("10.9").user_channel(),
        tvos("10.2"),
        visionos("1.1"),
        watchos("10.0"),
    ]),
    command("InstallEnterpriseApplication", AccessRights::MANAGE_APPLICATIONS, [
        macos("10.13.6"),
    ]),
    command("InstallMedia", AccessRights::MANAGE_APPLICATIONS, [
        ios("8.0"),
        macos("10.9").no_user_enrollment().user_channel_only(),
    ]),
    command("InstallProfile", AccessRights::INSTALL_AND_REMOVE_PROFILES, [
        ios("4.0").user_channel(),
        macos("10.7").user_channel(),
        tvos("9.0"),
        visionos("1.1"),
        watchos("10.0"),
    ]),
    command("InstallProvisioningProfile", AccessRights::INSTALL_AND_REMOVE_PROVISIONING, [
        ios("4.0"),
        macos("11.0"),
        tvos("10.2"),
        visionos("1.1"),
        watchos("10.0"),
    ]),
    command("InstalledApplicationList", AccessRights::QUERY_APPLICATIONS, [
        ios("5.0"),
        macos("10.7").no_user_enrollment().user_channel(),
        tvos("10.2"),
        visionos("1.1"),
        watchos("10.0"),
    ]).never_not_now_on_ios(),
    command("InviteToProgram", AccessRights::MANAGE_APPLICATIONS, [
        ios("7.0").no_user_enrollment().user_channel_only(),
        macos("10.9").no_user_enrollment().user_channel_only(),
    ]),
    command("LOMDeviceRequest", AccessRights::LOCK_AND_REMOVE_PASSCODE, [
        macos("11.0").no_user_enrollment(),
    ]),
    command("LOMSetupRequest", AccessRights::LOCK_AND_REMOVE_PASSCODE, [
        macos("11.0").no_user_enrollment(),
    ]),
    command("LogOutUser", AccessRights::NONE, [
        ios("9.3").no_user_enrollment(),
    ]),
    command("ManagedApplicationAttributes", AccessRights::MANAGE_APPLICATIONS, [
        ios("7.0"),
        tvos("10.2"),
        visionos("1.1"),
        watchos("10.0"),
    ]),
    command("ManagedApplicationConfiguration", AccessRights::MANAGE_APPLICATIONS, [
        ios("7.0"),
        macos("10.15"),
        tvos("10.2"),
        visionos("1.1"),
        watchos("10.0"),
    ]),
    command("ManagedApplicationFeedback", AccessRights::MANAGE_APPLICATIONS, [
        ios("7.0"),
        macos("11.0").no_user_enrollment().user_channel_only(),
        tvos("10.2"),
        visionos("1.1"),
    ]),
    command("ManagedApplicationList", AccessRights::MANAGE_APPLICATIONS, [
        ios("5.0"),
        macos("11.0").user_channel(),
        tvos("10.2"),
        visionos("1.1"),
        watchos("10.0"),
    ]),
    command("ManagedMediaList", AccessRights::MANAGE_APPLICATIONS, [
        ios("8.0"),
    ]),
    command("NSExtensionMappings", AccessRights::QUERY_APPLICATIONS, [
        macos("10.13").no_user_enrollment().user_channel_only(),
    ]),
    command("OSUpdateStatus", AccessRights::MANAGE_APPLICATIONS, [
        ios("9.0").supervised().no_user_enrollment(),
        macos("10.11.5").supervised().no_user_enrollment(),
        tvos("12.0").supervised(),
    ]),
    command("PlayLostModeSound", AccessRights::NONE, [
        ios("10.3").supervised().no_user_enrollment(),
    ]),
    command("ProfileList", AccessRights::INSPECT, [
        ios("4.0").user_channel(),
        macos("10.7").user_channel(),
        tvos("9.0"),
        visionos("1.1"),
        watchos("10.0"),
    ]).never_not_now_on_ios(),
    command("ProvisioningProfileList", AccessRights::INSPECT_PROVISIONING, [
        ios("4.0"),
        macos("11.0"),
        tvos("10.2"),
        visionos("1.1"),
        watchos("10.0"),
    ]).never_not_now_on_ios(),
    command("RefreshCellularPlans", AccessRights::NONE, [
        ios("13.0").no_user_enrollment(),
    ]),
    command("RemoveApplication", AccessRights::MANAGE_APPLICATIONS, [
        ios("5.0"),
        macos("11.0").no_user_enrollment(),
        tvos("10.2"),
        visionos("1.1"),
        watchos("10.0"),
    ]).destructive(),
    command("RemoveMedia", AccessRights::MANAGE_APPLICATIONS, [
        ios("8.0"),
    ]),
    command("RemoveProfile", AccessRights::INSTALL_AND_REMOVE_PROFILES, [
        ios("4.0").user_channel(),
        macos("10.7").user_channel(),
        tvos("9.0"),
        visionos("1.1"),
        watchos("10.0"),
    ]),
    command("RemoveProvisioningProfile", AccessRights::INSTALL_AND_REMOVE_PROVISIONING, [
        ios("4.0"),
        macos("11.0"),
        tvos("10.2"),
        visionos("1.1"),
        watchos("10.0"),
    ]),
    command("RequestMirroring", AccessRights::NONE, [
        ios("7.0"),
        macos("10.10"),
    ]),
    command("RequestUnlockToken", AccessRights::NONE, [
        ios("5.0").supervised().no_user_enrollment(),
    ]),
    command("RestartDevice", AccessRights::LOCK_AND_REMOVE_PASSCODE, [
        ios("10.3").supervised().no_user_enrollment(),
        macos("10.13").no_user_enrollment(),
        tvos("10.2").supervised(),
    ]),
    command("Restrictions", AccessRights::QUERY_RESTRICTIONS, [
        ios("4.0").no_user_enrollment().user_channel(),
        tvos("9.0"),
        visionos("1.1").no_user_enrollment(),
        watchos("10.0"),
    ]).never_not_now_on_ios(),
    command("RotateFileVaultKey", AccessRights::LOCK_AND_REMOVE_PASSCODE, [
        macos("10.9").no_user_enrollment(),
    ]).destructive(),
    command("ScheduleOSUpdate", AccessRights::MANAGE_APPLICATIONS, [
        ios("9.0").supervised().no_user_enrollment(),
        macos("10.11").supervised().no_user_enrollment(),
        tvos("12.0").supervised(),
    ]),
    command("ScheduleOSUpdateScan", AccessRights::NONE, [
        macos("10.11").supervised().no_user_enrollment(),
    ]),
    command("SecurityInfo", AccessRights::QUERY_SECURITY, [
        ios("4.0"),
        macos("10.7").user_channel(),
        tvos("9.0"),
        visionos("1.1"),
        watchos("10.0"),
    ]),
    command("SetAutoAdminPassword", AccessRights::NONE, [
        macos("10.11").automated().no_user_enrollment(),
    ]).destructive(),
    command("SetFirmwarePassword", AccessRights::LOCK_AND_REMOVE_PASSCODE, [
        macos("10.13").no_user_enrollment(),
    ]).destructive(),
    command("SetRecoveryLock", AccessRights::LOCK_AND_REMOVE_PASSCODE, [
        macos("11.5").no_user_enrollment(),
    ]).destructive(),
    command("Settings", AccessRights::SETTINGS, [
        ios("5.0").user_channel(),
        macos("10.9").user_channel(),
        tvos("9.0"),
        visionos("1.1"),
        watchos("10.0"),
    ]),
    command("ShutDownDevice", AccessRights::LOCK_AND_REMOVE_PASSCODE, [
        ios("10.3").supervised().no_user_enrollment(),
        macos("10.13").no_user_enrollment(),
    ]),
    command("StopMirroring", AccessRights::NONE, [
        ios("7.0").supervised().no_user_enrollment(),
        macos("10.10").no_user_enrollment(),
    ]),
    command("UnlockUserAccount", AccessRights::LOCK_AND_REMOVE_PASSCODE, [
        macos("10.13").no_user_enrollment(),
    ]),
    command("UserConfigured", AccessRights::NONE, [
        ios("17.0").supervised().automated().no_user_enrollment().user_channel_only(),
    ]),
    command("UserList", AccessRights::NONE, [
        ios("9.3").no_user_enrollment(),
        macos("10.13").supervised().no_user_enrollment(),
    ]),
    command("ValidateApplications", AccessRights::MANAGE_APPLICATIONS, [
        ios("9.2"),
        tvos("10.2"),
        visionos("1.1"),
    ]),
    command("VerifyFirmwarePassword", AccessRights::NONE, [
        macos("10.13").no_user_enrollment(),
    ]),
    command("VerifyRecoveryLock", AccessRights::LOCK_AND_REMOVE_PASSCODE, [
        macos("11.5").no_user_enrollment(),
    ]),
];
