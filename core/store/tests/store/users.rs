use lanyard_store::{AddUserOutcome, PasswordHash, UserChange};

use crate::database::{at, new_database};

#[tokio::test]
async fn a_name_is_one_person_in_any_case() {
    let store = new_database().await;
    let hash = PasswordHash::new("$argon2id$one");
    let added = store.add_user("Amina", "Amina K.", &hash, at(0)).await;
    assert_eq!(added.unwrap(), AddUserOutcome::Added);
    let again = store.add_user("AMINA", "Another", &hash, at(1)).await;
    assert_eq!(again.unwrap(), AddUserOutcome::NameTaken);

    let user = store.find_user("aMiNa").await.unwrap().unwrap();
    assert_eq!(user.name, "amina");
    assert_eq!(user.display_name, "Amina K.");
    assert_eq!(user.created_at, at(0));
    assert!(!format!("{user:?}").contains("argon2id"));
}

#[tokio::test]
async fn changes_are_stored_and_name_nobody_new() {
    let store = new_database().await;
    let hash = PasswordHash::new("$argon2id$one");
    let other = PasswordHash::new("$argon2id$two");
    store
        .add_user("amina", "Amina", &hash, at(0))
        .await
        .unwrap();

    let changed = store.set_user_password("Amina", &other, at(5)).await;
    assert_eq!(changed.unwrap(), UserChange::Done);
    let changed = store.set_user_disabled("amina", true, at(6)).await;
    assert_eq!(changed.unwrap(), UserChange::Done);
    let user = store.find_user("amina").await.unwrap().unwrap();
    assert_eq!(user.password_hash, other);
    assert!(user.disabled);
    assert_eq!(user.changed_at, at(6));

    let unknown = store.set_user_disabled("boris", true, at(7)).await;
    assert_eq!(unknown.unwrap(), UserChange::Unknown);
    assert_eq!(store.remove_user("AMINA").await.unwrap(), UserChange::Done);
    assert_eq!(
        store.remove_user("amina").await.unwrap(),
        UserChange::Unknown
    );
    assert_eq!(store.find_user("amina").await.unwrap(), None);
}

#[tokio::test]
async fn lists_go_on_after_a_name() {
    let store = new_database().await;
    let hash = PasswordHash::new("$argon2id$one");
    for name in ["dora", "amina", "carl", "boris"] {
        store.add_user(name, name, &hash, at(0)).await.unwrap();
    }
    let names = |users: Vec<lanyard_store::User>| -> Vec<String> {
        users.into_iter().map(|user| user.name).collect()
    };
    let first = store.list_users(None, 2).await.unwrap();
    assert_eq!(names(first), ["amina", "boris"]);
    let rest = store.list_users(Some("boris"), 10).await.unwrap();
    assert_eq!(names(rest), ["carl", "dora"]);
}
