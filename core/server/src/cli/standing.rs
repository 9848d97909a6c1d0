//! What is stored, for commands that work with and without a running server: asked of the server if one runs, and else read from the
//! database, which nobody writes then.

use std::{error::Error, path::Path};

use lanyard_store::Store;

use super::client::Client;
use crate::{configuration::Configuration, secrets};

/// The push topics that devices are enrolled with; none if there is no database yet.
///
/// # Errors
/// The server does not answer as it should, or the database cannot be read.
pub(super) async fn topics_in_use(
    configuration: &Configuration,
) -> Result<Vec<String>, Box<dyn Error>> {
    let client = Client::of(configuration);
    if client.is_answered().await {
        let answer = client.get("/api/v1/push/topics").await?;
        let topics = answer["topics"].as_array().into_iter().flatten();
        return Ok(topics
            .filter_map(|topic| topic.as_str().map(str::to_owned))
            .collect());
    }
    match stored(configuration).await? {
        Some(store) => Ok(store.topics_in_use().await?),
        None => Ok(Vec::new()),
    }
}

/// The database, to read; `None` if it was not made yet.
///
/// # Errors
/// It cannot be opened, is sealed with another key, or its tables are those of another version.
pub(super) async fn stored(configuration: &Configuration) -> Result<Option<Store>, Box<dyn Error>> {
    let url = configuration.database_url();
    let file = url.expose().strip_prefix("sqlite://");
    if file.is_some_and(|file| !Path::new(file).exists()) {
        return Ok(None);
    }
    let sealing = secrets::sealing_key(&configuration.path(&configuration.server.sealing_key))?;
    Ok(Some(Store::connect_read_only(url.expose(), sealing).await?))
}
