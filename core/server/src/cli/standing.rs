//! What is stored, for commands that work with and without a running server: asked of the server if one runs, and else read from the
//! database, which nobody writes then.

use std::error::Error;

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
        let answer = client.get("/api/v1/apns/enrolled").await?;
        let topics = answer["topics"].as_array().into_iter().flatten();
        return Ok(topics
            .filter_map(|each| each["topic"].as_str().map(str::to_owned))
            .collect());
    }
    let Some(store) = stored(configuration).await? else {
        return Ok(Vec::new());
    };
    let topics = store.topics_in_use().await?.into_iter();
    Ok(topics.map(|(topic, _)| topic).collect())
}

/// The database, to read; `None` if it was not made yet.
///
/// # Errors
/// It cannot be opened, is sealed with another key, or its tables are those of another version.
pub(super) async fn stored(configuration: &Configuration) -> Result<Option<Store>, Box<dyn Error>> {
    let file = configuration.database_file();
    if file.is_some_and(|file| !configuration.path(&file).exists()) {
        return Ok(None);
    }
    let url = configuration.database_url();
    let sealing = secrets::key_ring(&configuration.path(&configuration.server.sealing_key))?;
    Ok(Some(Store::connect_read_only(url.expose(), sealing).await?))
}
