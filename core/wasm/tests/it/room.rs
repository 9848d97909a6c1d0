//! Plugins that need more than one from Rust does.

use crate::fixture::assembled;
use lanyard_wasm::{LoadError, Room, Rooms, Terms};

/// What an interpreter has: a memory for itself and one for what it runs.
pub(crate) const TWO_MEMORIES: &str = "(component (core module $m (memory 1)) \
    (core instance (instantiate $m)) (core instance (instantiate $m)))";

#[tokio::test]
async fn what_does_not_fit_says_where_it_would() {
    let rooms = Rooms::new().unwrap();
    let component = wat::parse_str(TWO_MEMORIES).unwrap();
    let refusal = rooms.load(Room::Ordinary, component.clone()).await.err();
    let Some(refusal @ LoadError::NoRoom { .. }) = refusal else {
        panic!("{refusal:?}");
    };
    let said = refusal.to_string();
    for part in ["room = \"large\"", "2 Wasm linear memories"] {
        assert!(said.contains(part), "{said}");
    }
    let (_, room) = rooms.fit(component).await.unwrap();
    assert_eq!(room, Room::Large);
    let (_, room) = rooms.fit(assembled("verify")).await.unwrap();
    assert_eq!(room, Room::Ordinary);
}

#[tokio::test]
async fn what_is_too_large_for_either_is_refused_by_both() {
    let rooms = Rooms::new().unwrap();
    for (room, limit) in [(Room::Ordinary, 4 << 20), (Room::Large, 32 << 20)] {
        let size = limit + 1;
        let refusal = rooms.load(room, vec![0; size]).await.err();
        assert_eq!(refusal, Some(LoadError::TooLarge { size, limit }));
    }
}

#[tokio::test]
async fn an_ordinary_plugin_fits_into_the_large_room_and_may_have_more_memory_there() {
    let rooms = Rooms::new().unwrap();
    let mut terms = Terms::new("test");
    terms.limits.memory_bytes = 128 << 20;
    let ordinary = rooms.load(Room::Ordinary, assembled("verify")).await;
    let refusal = ordinary.unwrap().directory(terms.clone()).await;
    assert_eq!(
        refusal.unwrap_err(),
        LoadError::MemoryBeyondCapacity {
            limit: 128 << 20,
            room: 64 << 20
        }
    );
    let large = rooms.load(Room::Large, assembled("verify")).await.unwrap();
    large.directory(terms).await.unwrap();
}
