//! What a device answers to DeviceInformation.

use plist::{Data, Date, Dictionary, Value};
use serde::Deserialize;

use super::DeviceInformation;
use crate::AnswerError;
use crate::answer::tolerant;

/// What a device answers to [`DeviceInformation`]: what was asked, the platform has and the enrollment has a right to. Keys
/// that are not here (the nested settings of macOS and Shared iPad) stay in the response dictionary.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeviceInformationAnswer {
    /// `UDID`
    #[serde(rename = "UDID")]
    pub udid: Option<String>,
    /// `ProvisioningUDID`: macOS 11.3
    #[serde(rename = "ProvisioningUDID")]
    pub provisioning_udid: Option<String>,
    /// `SerialNumber`
    pub serial_number: Option<String>,
    /// `DeviceName`
    pub device_name: Option<String>,
    /// `OSVersion`
    #[serde(rename = "OSVersion")]
    pub os_version: Option<String>,
    /// `SupplementalOSVersionExtra`: such as `(a)`; iOS 16.1, macOS 13
    #[serde(rename = "SupplementalOSVersionExtra")]
    pub supplemental_os_version_extra: Option<String>,
    /// `BuildVersion`
    pub build_version: Option<String>,
    /// `SupplementalBuildVersion`: iOS 16.1, macOS 13
    pub supplemental_build_version: Option<String>,
    /// `ModelName`: such as `iPhone`
    pub model_name: Option<String>,
    /// `Model`: the order number of older devices
    pub model: Option<String>,
    /// `ModelNumber`
    pub model_number: Option<String>,
    /// `ProductName`: such as `iPhone17,1`
    pub product_name: Option<String>,
    /// `IsAppleSilicon`: macOS 12
    pub is_apple_silicon: Option<bool>,
    /// `DeviceCapacity`: gibibytes
    pub device_capacity: Option<f64>,
    /// `AvailableDeviceCapacity`: gibibytes
    pub available_device_capacity: Option<f64>,
    /// `BatteryLevel`: 0 to 1, or -1 for unknown
    pub battery_level: Option<f64>,
    /// `HasBattery`: macOS 13.3
    pub has_battery: Option<bool>,
    /// `CellularTechnology`: 0 none, 1 GSM, 2 CDMA, 3 both
    pub cellular_technology: Option<i64>,
    /// `IMEI`
    #[serde(rename = "IMEI")]
    pub imei: Option<String>,
    /// `MEID`
    #[serde(rename = "MEID")]
    pub meid: Option<String>,
    /// `ICCID`
    #[serde(rename = "ICCID")]
    pub iccid: Option<String>,
    /// `ModemFirmwareVersion`
    pub modem_firmware_version: Option<String>,
    /// `PhoneNumber`
    pub phone_number: Option<String>,
    /// `BluetoothMAC`
    #[serde(rename = "BluetoothMAC")]
    pub bluetooth_mac: Option<String>,
    /// `WiFiMAC`
    #[serde(rename = "WiFiMAC")]
    pub wifi_mac: Option<String>,
    /// `EthernetMAC`: macOS
    #[serde(rename = "EthernetMAC")]
    pub ethernet_mac: Option<String>,
    /// `CurrentCarrierNetwork`
    pub current_carrier_network: Option<String>,
    /// `SubscriberCarrierNetwork`
    pub subscriber_carrier_network: Option<String>,
    /// `CarrierSettingsVersion`
    pub carrier_settings_version: Option<String>,
    /// `CurrentMCC`
    #[serde(rename = "CurrentMCC")]
    pub current_mcc: Option<String>,
    /// `CurrentMNC`
    #[serde(rename = "CurrentMNC")]
    pub current_mnc: Option<String>,
    /// `SubscriberMCC`
    #[serde(rename = "SubscriberMCC")]
    pub subscriber_mcc: Option<String>,
    /// `SubscriberMNC`
    #[serde(rename = "SubscriberMNC")]
    pub subscriber_mnc: Option<String>,
    /// `IsRoaming`
    pub is_roaming: Option<bool>,
    /// `DataRoamingEnabled`
    pub data_roaming_enabled: Option<bool>,
    /// `VoiceRoamingEnabled`
    pub voice_roaming_enabled: Option<bool>,
    /// `PersonalHotspotEnabled`
    pub personal_hotspot_enabled: Option<bool>,
    /// `IsNetworkTethered`: iOS 10.3
    pub is_network_tethered: Option<bool>,
    /// `IsSupervised`
    pub is_supervised: Option<bool>,
    /// `IsMultiUser`: Shared iPad
    pub is_multi_user: Option<bool>,
    /// `IsMDMLostModeEnabled`
    #[serde(rename = "IsMDMLostModeEnabled")]
    pub is_mdm_lost_mode_enabled: Option<bool>,
    /// `IsDeviceLocatorServiceEnabled`: Find My
    pub is_device_locator_service_enabled: Option<bool>,
    /// `IsActivationLockEnabled`
    pub is_activation_lock_enabled: Option<bool>,
    /// `IsActivationLockSupported`: macOS
    pub is_activation_lock_supported: Option<bool>,
    /// `IsDoNotDisturbInEffect`
    pub is_do_not_disturb_in_effect: Option<bool>,
    /// `IsCloudBackupEnabled`
    pub is_cloud_backup_enabled: Option<bool>,
    /// `LastCloudBackupDate`
    pub last_cloud_backup_date: Option<Date>,
    /// `AwaitingConfiguration`: waits in Setup Assistant
    pub awaiting_configuration: Option<bool>,
    /// `iTunesStoreAccountIsActive`
    #[serde(rename = "iTunesStoreAccountIsActive")]
    pub itunes_store_account_is_active: Option<bool>,
    /// `iTunesStoreAccountHash`
    #[serde(rename = "iTunesStoreAccountHash")]
    pub itunes_store_account_hash: Option<String>,
    /// `DeviceID`: tvOS
    #[serde(rename = "DeviceID")]
    pub device_id: Option<String>,
    /// `EASDeviceIdentifier`
    #[serde(rename = "EASDeviceIdentifier")]
    pub eas_device_identifier: Option<String>,
    /// `LocalHostName`: macOS
    pub local_host_name: Option<String>,
    /// `HostName`: macOS
    pub host_name: Option<String>,
    /// `SystemIntegrityProtectionEnabled`: macOS
    pub system_integrity_protection_enabled: Option<bool>,
    /// `PINRequiredForEraseDevice`: macOS 11
    #[serde(rename = "PINRequiredForEraseDevice")]
    pub pin_required_for_erase_device: Option<bool>,
    /// `PINRequiredForDeviceLock`: macOS 11
    #[serde(rename = "PINRequiredForDeviceLock")]
    pub pin_required_for_device_lock: Option<bool>,
    /// `SupportsiOSAppInstalls`: macOS 11
    #[serde(rename = "SupportsiOSAppInstalls")]
    pub supports_ios_app_installs: Option<bool>,
    /// `SupportsLOMDevice`: macOS 11
    #[serde(rename = "SupportsLOMDevice")]
    pub supports_lom_device: Option<bool>,
    /// `SoftwareUpdateDeviceID`: iOS 15, macOS 12
    #[serde(rename = "SoftwareUpdateDeviceID")]
    pub software_update_device_id: Option<String>,
    /// `TimeZone`: such as `Europe/Vienna`; iOS 14
    pub time_zone: Option<String>,
    /// `DiagnosticSubmissionEnabled`
    pub diagnostic_submission_enabled: Option<bool>,
    /// `AppAnalyticsEnabled`
    pub app_analytics_enabled: Option<bool>,
    /// `MaximumResidentUsers`: Shared iPad
    pub maximum_resident_users: Option<i64>,
    /// `EstimatedResidentUsers`: Shared iPad
    pub estimated_resident_users: Option<i64>,
    /// `ResidentUsers`: Shared iPad
    pub resident_users: Option<i64>,
    /// `QuotaSize`: Shared iPad
    pub quota_size: Option<i64>,
    /// `EACSPreflight`: whether "Erase All Content and Settings" would work, in words; macOS 13.3
    #[serde(rename = "EACSPreflight")]
    pub eacs_preflight: Option<String>,
    /// `ActiveManagedUsers`: the UUIDs of those who are logged in; macOS
    pub active_managed_users: Vec<String>,
    /// `ServiceSubscriptions`: one a SIM; iOS 12
    pub service_subscriptions: Vec<ServiceSubscription>,
    /// `DevicePropertiesAttestation`: DER certificates, leaf first; iOS 16, macOS 14
    pub device_properties_attestation: Vec<Data>,
    /// Keys that came with another type than Apple documents, and were left out.
    #[serde(skip)]
    pub mistyped: Vec<String>,
}

/// A SIM or eSIM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceSubscription {
    /// `Label`
    pub label: Option<String>,
    /// `LabelID`
    #[serde(rename = "LabelID")]
    pub label_id: Option<String>,
    /// `Slot`
    pub slot: Option<String>,
    /// `PhoneNumber`
    pub phone_number: Option<String>,
    /// `IMEI`
    #[serde(rename = "IMEI")]
    pub imei: Option<String>,
    /// `MEID`
    #[serde(rename = "MEID")]
    pub meid: Option<String>,
    /// `ICCID`
    #[serde(rename = "ICCID")]
    pub iccid: Option<String>,
    /// `EID`
    #[serde(rename = "EID")]
    pub eid: Option<String>,
    /// `CurrentCarrierNetwork`
    pub current_carrier_network: Option<String>,
    /// `CarrierSettingsVersion`
    pub carrier_settings_version: Option<String>,
    /// `CurrentMCC`
    #[serde(rename = "CurrentMCC")]
    pub current_mcc: Option<String>,
    /// `CurrentMNC`
    #[serde(rename = "CurrentMNC")]
    pub current_mnc: Option<String>,
    /// `IsDataPreferred`
    pub is_data_preferred: Option<bool>,
    /// `IsVoicePreferred`
    pub is_voice_preferred: Option<bool>,
    /// `IsRoaming`
    pub is_roaming: Option<bool>,
}

impl DeviceInformationAnswer {
    /// Reads the response dictionary.
    ///
    /// # Errors
    /// [`AnswerError`] if `QueryResponses` is not there or no dictionary.
    pub fn from_dictionary(response: &Dictionary) -> Result<Self, AnswerError> {
        let responses = response
            .get("QueryResponses")
            .and_then(Value::as_dictionary)
            .ok_or(AnswerError {
                request_type: DeviceInformation::REQUEST_TYPE,
                key: "QueryResponses",
                expected: "a dictionary",
            })?;
        let (answer, mistyped) = tolerant::<Self>(responses);
        Ok(Self { mistyped, ..answer })
    }
}
