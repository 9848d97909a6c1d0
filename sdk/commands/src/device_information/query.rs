//! What can be asked of a device, by name, and the right that each question takes.

use std::borrow::Cow;
use std::fmt;

use crate::{AccessRights, CommandError};

/// The name of one fact in [`DeviceInformation`](crate::DeviceInformation): one of the constants, or a name that this catalogue does
/// not know yet ([`Query::named`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query(Cow<'static, str>);

impl Query {
    /// The longest name, in bytes. Apple's longest has 37; the limit keeps a mistake from becoming a command.
    pub const MAX_LENGTH: usize = 64;

    /// A query by its name on the wire, 1 to 64 ASCII letters and digits.
    ///
    /// # Errors
    /// [`CommandError::Wrong`] if the name is anything else.
    pub fn named(name: impl Into<Cow<'static, str>>) -> Result<Self, CommandError> {
        let name = name.into();
        let fits = (1..=Self::MAX_LENGTH).contains(&name.len());
        if fits && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(Self(name))
        } else {
            Err(CommandError::Wrong {
                request_type: "DeviceInformation",
                key: "Queries",
                expected: "query names of 1 to 64 ASCII letters and digits",
            })
        }
    }

    /// The name on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The right that an enrollment must have for this query to be answered. A query that the catalogue does not know
    /// is taken to need [`AccessRights::QUERY_DEVICE`], as most do.
    #[must_use]
    pub fn right(&self) -> AccessRights {
        KNOWN
            .iter()
            .find(|(name, _)| *name == self.0)
            .map_or(AccessRights::QUERY_DEVICE, |(_, right)| *right)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! queries {
    ($($constant:ident $name:literal $right:ident;)*) => {
        impl Query {
            $(
                #[doc = concat!("`", $name, "`")]
                pub const $constant: Self = Self(Cow::Borrowed($name));
            )*

            /// Every query of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];
        }

        const KNOWN: &[(&str, AccessRights)] = &[$(($name, AccessRights::$right)),*];
    };
}

// Apple's schema, `mdm/commands/information.device.yaml`, release iOS 18.1. No right is stated for the last few and for
// the software-update ones; they are answered to every server.
queries! {
    UDID "UDID" NONE;
    PROVISIONING_UDID "ProvisioningUDID" NONE;
    ORGANIZATION_INFO "OrganizationInfo" NONE;
    MDM_OPTIONS "MDMOptions" NONE;
    LAST_CLOUD_BACKUP_DATE "LastCloudBackupDate" NONE;
    AWAITING_CONFIGURATION "AwaitingConfiguration" NONE;
    ITUNES_STORE_ACCOUNT_IS_ACTIVE "iTunesStoreAccountIsActive" MANAGE_APPLICATIONS;
    ITUNES_STORE_ACCOUNT_HASH "iTunesStoreAccountHash" MANAGE_APPLICATIONS;
    DEVICE_NAME "DeviceName" QUERY_DEVICE;
    OS_VERSION "OSVersion" QUERY_DEVICE;
    SUPPLEMENTAL_OS_VERSION_EXTRA "SupplementalOSVersionExtra" QUERY_DEVICE;
    BUILD_VERSION "BuildVersion" QUERY_DEVICE;
    SUPPLEMENTAL_BUILD_VERSION "SupplementalBuildVersion" QUERY_DEVICE;
    MODEL_NAME "ModelName" QUERY_DEVICE;
    MODEL "Model" QUERY_DEVICE;
    MODEL_NUMBER "ModelNumber" QUERY_DEVICE;
    IS_APPLE_SILICON "IsAppleSilicon" QUERY_DEVICE;
    PRODUCT_NAME "ProductName" QUERY_DEVICE;
    SERIAL_NUMBER "SerialNumber" QUERY_DEVICE;
    DEVICE_CAPACITY "DeviceCapacity" QUERY_DEVICE;
    AVAILABLE_DEVICE_CAPACITY "AvailableDeviceCapacity" QUERY_DEVICE;
    IMEI "IMEI" QUERY_DEVICE;
    MEID "MEID" QUERY_DEVICE;
    MODEM_FIRMWARE_VERSION "ModemFirmwareVersion" QUERY_DEVICE;
    CELLULAR_TECHNOLOGY "CellularTechnology" QUERY_DEVICE;
    BATTERY_LEVEL "BatteryLevel" QUERY_DEVICE;
    HAS_BATTERY "HasBattery" QUERY_DEVICE;
    IS_SUPERVISED "IsSupervised" QUERY_DEVICE;
    IS_MULTI_USER "IsMultiUser" QUERY_DEVICE;
    IS_DEVICE_LOCATOR_SERVICE_ENABLED "IsDeviceLocatorServiceEnabled" QUERY_DEVICE;
    IS_ACTIVATION_LOCK_ENABLED "IsActivationLockEnabled" QUERY_DEVICE;
    IS_ACTIVATION_LOCK_SUPPORTED "IsActivationLockSupported" QUERY_DEVICE;
    IS_DO_NOT_DISTURB_IN_EFFECT "IsDoNotDisturbInEffect" QUERY_DEVICE;
    DEVICE_ID "DeviceID" QUERY_DEVICE;
    EAS_DEVICE_IDENTIFIER "EASDeviceIdentifier" QUERY_DEVICE;
    IS_CLOUD_BACKUP_ENABLED "IsCloudBackupEnabled" QUERY_DEVICE;
    ACTIVE_MANAGED_USERS "ActiveManagedUsers" QUERY_DEVICE;
    OS_UPDATE_SETTINGS "OSUpdateSettings" QUERY_DEVICE;
    LOCAL_HOST_NAME "LocalHostName" QUERY_DEVICE;
    HOST_NAME "HostName" QUERY_DEVICE;
    AUTO_SETUP_ADMIN_ACCOUNTS "AutoSetupAdminAccounts" QUERY_DEVICE;
    SYSTEM_INTEGRITY_PROTECTION_ENABLED "SystemIntegrityProtectionEnabled" QUERY_DEVICE;
    SUPPORTS_LOM_DEVICE "SupportsLOMDevice" QUERY_DEVICE;
    IS_MDM_LOST_MODE_ENABLED "IsMDMLostModeEnabled" QUERY_DEVICE;
    MAXIMUM_RESIDENT_USERS "MaximumResidentUsers" QUERY_DEVICE;
    ESTIMATED_RESIDENT_USERS "EstimatedResidentUsers" QUERY_DEVICE;
    QUOTA_SIZE "QuotaSize" QUERY_DEVICE;
    RESIDENT_USERS "ResidentUsers" QUERY_DEVICE;
    USER_SESSION_TIMEOUT "UserSessionTimeout" QUERY_DEVICE;
    TEMPORARY_SESSION_TIMEOUT "TemporarySessionTimeout" QUERY_DEVICE;
    TEMPORARY_SESSION_ONLY "TemporarySessionOnly" QUERY_DEVICE;
    MANAGED_APPLE_ID_DEFAULT_DOMAINS "ManagedAppleIDDefaultDomains" QUERY_DEVICE;
    ONLINE_AUTHENTICATION_GRACE_PERIOD "OnlineAuthenticationGracePeriod" QUERY_DEVICE;
    SKIP_LANGUAGE_AND_LOCALE_SETUP_FOR_NEW_USERS "SkipLanguageAndLocaleSetupForNewUsers" QUERY_DEVICE;
    PUSH_TOKEN "PushToken" QUERY_DEVICE;
    DIAGNOSTIC_SUBMISSION_ENABLED "DiagnosticSubmissionEnabled" QUERY_DEVICE;
    APP_ANALYTICS_ENABLED "AppAnalyticsEnabled" QUERY_DEVICE;
    TIME_ZONE "TimeZone" QUERY_DEVICE;
    ICCID "ICCID" QUERY_NETWORK;
    BLUETOOTH_MAC "BluetoothMAC" QUERY_NETWORK;
    WIFI_MAC "WiFiMAC" QUERY_NETWORK;
    ETHERNET_MAC "EthernetMAC" QUERY_NETWORK;
    CURRENT_CARRIER_NETWORK "CurrentCarrierNetwork" QUERY_NETWORK;
    SIM_CARRIER_NETWORK "SIMCarrierNetwork" QUERY_NETWORK;
    SUBSCRIBER_CARRIER_NETWORK "SubscriberCarrierNetwork" QUERY_NETWORK;
    CARRIER_SETTINGS_VERSION "CarrierSettingsVersion" QUERY_NETWORK;
    PHONE_NUMBER "PhoneNumber" QUERY_NETWORK;
    DATA_ROAMING_ENABLED "DataRoamingEnabled" QUERY_NETWORK;
    VOICE_ROAMING_ENABLED "VoiceRoamingEnabled" QUERY_NETWORK;
    PERSONAL_HOTSPOT_ENABLED "PersonalHotspotEnabled" QUERY_NETWORK;
    IS_NETWORK_TETHERED "IsNetworkTethered" QUERY_NETWORK;
    IS_ROAMING "IsRoaming" QUERY_NETWORK;
    SUBSCRIBER_MCC "SubscriberMCC" QUERY_NETWORK;
    SUBSCRIBER_MNC "SubscriberMNC" QUERY_NETWORK;
    CURRENT_MCC "CurrentMCC" QUERY_NETWORK;
    CURRENT_MNC "CurrentMNC" QUERY_NETWORK;
    SERVICE_SUBSCRIPTIONS "ServiceSubscriptions" QUERY_NETWORK;
    PIN_REQUIRED_FOR_ERASE_DEVICE "PINRequiredForEraseDevice" QUERY_DEVICE;
    PIN_REQUIRED_FOR_DEVICE_LOCK "PINRequiredForDeviceLock" QUERY_DEVICE;
    SUPPORTS_IOS_APP_INSTALLS "SupportsiOSAppInstalls" QUERY_DEVICE;
    SOFTWARE_UPDATE_DEVICE_ID "SoftwareUpdateDeviceID" NONE;
    SOFTWARE_UPDATE_SETTINGS "SoftwareUpdateSettings" NONE;
    ACCESSIBILITY_SETTINGS "AccessibilitySettings" NONE;
    DEVICE_PROPERTIES_ATTESTATION "DevicePropertiesAttestation" NONE;
    EACS_PREFLIGHT "EACSPreflight" QUERY_DEVICE;
}
