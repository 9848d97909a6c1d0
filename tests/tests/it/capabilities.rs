//! What plugins reach outside, against a real slapd and real sockets: only what is granted, only where it is granted to go, and never
//! mistaken for a wrong password when it is away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect},
    routing::{any, post},
};
use lanyard_policy::{Capability, Decision, Directory, HookFailure, Secret, SignIn, Step};
use lanyard_tests::{guests, slapd::*};
use lanyard_wasm::{
    Cache, Capacity, Credential, CredentialScheme, DirectorySettings, Grants, HttpGrant,
    LdapDirectory, LoadError, Outside, PluginHost, Terms, WasmDirectory,
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use zeroize::Zeroizing;

const ADA: &str = "uid=ada,ou=people,dc=example,dc=org";
const FILTER: &str = "(&(objectClass=person)(uid={user}))";

/// A plugin, and another one of the same host that has nothing to do with it.
#[derive(Debug)]
struct Probe {
    plugin: WasmDirectory,
    other: WasmDirectory,
}

async fn bound(
    package: &str,
    outside: Outside,
    settings: Value,
    grants: Grants,
) -> Result<Probe, LoadError> {
    let capacity = Capacity {
        instances: 4,
        ..Capacity::default()
    };
    // So that each component is compiled once, and not for each test.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache");
    let cache = Cache::open(&folder, Zeroizing::new([7; 32])).unwrap();
    let host = PluginHost::new(capacity).unwrap();
    let host = host.reaching(outside).caching(cache);
    let load = async |package: &str| {
        let component = fs::read(guests::component(package)).unwrap();
        host.load(component).await.unwrap()
    };
    let terms = Terms {
        settings: settings.to_string(),
        grants,
        ..Terms::new("probe")
    };
    let other = load("guest-directory").await;
    Ok(Probe {
        plugin: load(package).await.directory(terms).await?,
        other: other.directory(Terms::new("other")).await?,
    })
}

fn sign_in(user_name: &str, password: &str) -> SignIn {
    SignIn {
        decision: Decision {
            id: "d-1".to_owned(),
            at_ms: 1_750_000_000_000,
            seed: [7; 32],
            meter: Default::default(),
        },
        user_name: user_name.to_owned(),
        password: Secret::new(password),
        remote_address: "192.0.2.1".to_owned(),
        user_agent: None,
    }
}

/// What the plugin reports: its outcome, and what came with it. Whatever it does, the other is asked meanwhile, and answers.
async fn asked(
    probe: &Probe,
    user_name: &str,
    password: &str,
) -> Result<(String, String), HookFailure> {
    let (step, other) = tokio::join!(
        probe.plugin.begin(sign_in(user_name, password)),
        probe.other.begin(sign_in("ada", "correct horse")),
    );
    assert!(matches!(other, Ok(Step::Authenticated(_))), "{other:?}");
    let step = step?;
    let Step::Rejected(reason) = step else {
        panic!("the plugin reports in rejections: {step:?}")
    };
    Ok((reason.code, reason.message))
}

fn settings_of(slapd: &Slapd) -> DirectorySettings {
    DirectorySettings {
        url: slapd.url(),
        starttls: false,
        roots: Some(slapd.ca()),
        base: BASE.to_owned(),
        account: Some((SERVICE_DN.to_owned(), Secret::new(SERVICE_PASSWORD))),
        timeout: Duration::from_secs(3),
    }
}

/// A plugin that may search the directory `corp` and hand passwords to it.
async fn with_directory(settings: DirectorySettings, probe: Value) -> Probe {
    let directory = LdapDirectory::new(settings).unwrap();
    let outside = Outside {
        directories: BTreeMap::from([("corp".to_owned(), directory)]),
        ..Outside::default()
    };
    let corp = BTreeSet::from(["corp".to_owned()]);
    let grants = Grants {
        directories: corp.clone(),
        secrets_to_directories: corp,
        ..usual()
    };
    bound("guest-capabilities", outside, probe, grants)
        .await
        .unwrap()
}

fn usual() -> Grants {
    Grants::of([
        Capability::Log,
        Capability::Secrets,
        Capability::Ldap,
        Capability::Http,
    ])
}

fn search() -> Value {
    json!({"do": "search", "directory": "corp", "filter": FILTER})
}

fn bind() -> Value {
    json!({"do": "bind", "directory": "corp"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_searched_and_bound_plain_and_encrypted() {
    let slapd = Slapd::start();
    let plain = settings_of(&slapd);
    let starttls = DirectorySettings {
        starttls: true,
        ..plain.clone()
    };
    let ldaps = DirectorySettings {
        url: slapd.secure_url(),
        ..plain.clone()
    };
    for settings in [plain, starttls, ldaps] {
        let searches = with_directory(settings.clone(), search()).await;
        let found = asked(&searches, "ada", "").await.unwrap();
        assert_eq!(found, ("found".to_owned(), ADA.to_owned()), "{settings:?}");
        let binds = with_directory(settings.clone(), bind()).await;
        for (password, outcome) in [
            (PASSWORD, "Accepted"),
            ("wrong", "Rejected"),
            ("", "Rejected"),
        ] {
            let (code, said) = asked(&binds, ADA, password).await.unwrap();
            assert!(code == "bound" && said.contains(outcome), "{code} {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_foreign_authority_is_not_spoken_to() {
    let (slapd, other) = (Slapd::start(), Slapd::start());
    for (url, starttls) in [(slapd.secure_url(), false), (slapd.url(), true)] {
        let settings = DirectorySettings {
            url,
            starttls,
            roots: Some(other.ca()),
            ..settings_of(&slapd)
        };
        for probe in [search(), bind()] {
            let plugin = with_directory(settings.clone(), probe).await;
            let (code, said) = asked(&plugin, ADA, PASSWORD).await.unwrap();
            assert!(
                code == "unavailable" && said.contains("certificate"),
                "{code} {said}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_types_is_looked_for_and_never_understood() {
    let slapd = Slapd::start();
    let plugin = with_directory(settings_of(&slapd), search()).await;
    for typed in ["*", "ada)(uid=*", "a*", "*)(objectClass=*", "ada\\2a"] {
        let found = asked(&plugin, typed, "").await.unwrap();
        assert_eq!(found, ("found".to_owned(), String::new()), "{typed}");
    }
    // The same with a filter that nobody fills in finds more than two.
    let all = json!({"do": "search", "directory": "corp", "filter": "(|(objectClass=person)(uid={user}))"});
    let plugin = with_directory(settings_of(&slapd), all).await;
    assert_eq!(asked(&plugin, "x", "").await.unwrap().0, "too-many");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_directory_is_away_and_one_that_came_back_is_found_again() {
    let mut slapd = Slapd::start();
    let searches = with_directory(settings_of(&slapd), search()).await;
    let binds = with_directory(settings_of(&slapd), bind()).await;
    assert_eq!(asked(&searches, "ada", "").await.unwrap().0, "found");
    slapd.stop();
    assert_eq!(asked(&searches, "ada", "").await.unwrap().0, "unavailable");
    assert_eq!(asked(&binds, ADA, "wrong").await.unwrap().0, "unavailable");
    slapd.restart();
    assert_eq!(asked(&searches, "ada", "").await.unwrap().0, "found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_that_is_refused_is_no_wrong_password() {
    let slapd = Slapd::start();
    let settings = DirectorySettings {
        account: Some((SERVICE_DN.to_owned(), Secret::new("wrong"))),
        ..settings_of(&slapd)
    };
    let plugin = with_directory(settings, search()).await;
    let (code, said) = asked(&plugin, "ada", PASSWORD).await.unwrap();
    assert!(
        code == "unavailable" && said.contains("service account"),
        "{code} {said}"
    );
}

/// The library that reads LDAP goes down one call for each level, and a stack that ends ends the process.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_answers_with_nothing_but_nesting_is_away() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let levels = (0..200_000_u32).rev().flat_map(|within| {
            let [a, b, c, d] = (within * 6).to_be_bytes();
            [0x30, 0x84, a, b, c, d]
        });
        let nested: Vec<u8> = levels.collect();
        while let Ok((mut peer, _)) = listener.accept().await {
            let _ = peer.write_all(&nested).await;
        }
    });
    for starttls in [false, true] {
        let settings = DirectorySettings {
            url: url.clone(),
            starttls,
            roots: None,
            base: "dc=example".to_owned(),
            account: None,
            timeout: Duration::from_secs(5),
        };
        let plugin = with_directory(settings, search()).await;
        let (code, said) = asked(&plugin, "ada", PASSWORD).await.unwrap();
        assert_eq!(code, "unavailable", "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bind_stays_below_the_base() {
    let slapd = Slapd::start();
    let plugin = with_directory(settings_of(&slapd), bind()).await;
    for elsewhere in [
        "cn=admin,dc=elsewhere",
        "<GUID=00>;uid=ada,dc=example,dc=org",
    ] {
        let (code, said) = asked(&plugin, elsewhere, PASSWORD).await.unwrap();
        assert!(
            code == "invalid" && said.contains("not below the base"),
            "{code} {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_not_granted_ends_the_call() {
    let corp = BTreeSet::from(["corp".to_owned()]);
    for (probe, directories, named) in [
        (search(), BTreeSet::new(), "the directory"),
        (bind(), BTreeSet::new(), "the directory"),
        (bind(), corp, "secrets towards the directory"),
    ] {
        let grants = Grants {
            directories,
            ..usual()
        };
        let plugin = bound("guest-capabilities", Outside::default(), probe, grants).await;
        let failure = asked(&plugin.unwrap(), ADA, PASSWORD).await.unwrap_err();
        assert!(
            matches!(&failure, HookFailure::NotGranted { what } if what.contains(named)),
            "{failure}"
        );
    }
}

/// A web server on loopback: `/echo` says back what it got, `/to/…` redirects there, `/large` has 2 MiB, `/never` does not answer.
async fn web() -> SocketAddr {
    async fn echo(headers: HeaderMap, body: String) -> String {
        let of = |name: &str| {
            headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
        };
        let (authorization, password) = (of("authorization"), of("x-password"));
        format!("{body} [{authorization}] [{password}]")
    }
    async fn to(request: Request) -> Redirect {
        let target = request.uri().query().unwrap();
        Redirect::to(target)
    }
    let app = Router::new()
        .route("/echo", any(echo))
        .route("/to", post(to))
        .route("/large", post(|| async { vec![b'x'; 2 << 20] }))
        .route(
            "/never",
            post(|| async {
                std::future::pending::<()>().await;
                StatusCode::OK.into_response()
            }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A plugin that may ask the server on loopback under both of its names, and send secrets to `/echo` and `/to`.
async fn with_web(web: SocketAddr, probe: Value, private: bool) -> Probe {
    let origin = format!("http://localhost:{}", web.port());
    let url = |path: &str| format!("{origin}{path}").parse().unwrap();
    let grants = Grants {
        http: HttpGrant {
            allow: vec![
                url("/"),
                format!("http://127.0.0.1:{}/", web.port()).parse().unwrap(),
            ],
            private: if private {
                vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]
            } else {
                Vec::new()
            },
            credentials: BTreeSet::from(["api".to_owned()]),
            timeout: Duration::from_millis(500),
            ..HttpGrant::default()
        },
        secrets_to_urls: vec![url("/echo"), url("/to")],
        ..usual()
    };
    let credential = Credential {
        scheme: CredentialScheme::Bearer,
        secret: Secret::new("t0ken"),
        urls: vec![url("/echo"), url("/to")],
    };
    let outside = Outside {
        credentials: BTreeMap::from([("api".to_owned(), credential)]),
        ..Outside::default()
    };
    bound("guest-capabilities", outside, probe, grants)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_where_it_may_with_what_the_host_puts_into_it() {
    let web = web().await;
    let url = format!("http://localhost:{}/echo", web.port());
    let probe = json!({"do": "http", "url": url, "with_password": true, "credential": "api"});
    let plugin = with_web(web, probe, true).await;
    let (code, said) = asked(&plugin, "ada", "a&b=c").await.unwrap();
    assert_eq!(code, "answered");
    assert_eq!(said, "200 user=ada&password=a%26b%3Dc [Bearer t0ken] []");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_name_that_leads_to_a_private_address_is_refused() {
    let web = web().await;
    let probe = json!({"do": "http", "url": format!("http://localhost:{}/echo", web.port())});
    let plugin = with_web(web, probe, false).await;
    let (code, said) = asked(&plugin, "ada", "").await.unwrap();
    assert!(
        code == "refused" && said.contains("not public"),
        "{code} {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirection_is_held_against_the_grant() {
    let web = web().await;
    let origin = format!("http://localhost:{}", web.port());
    let ask = |target: String, redirects: u8| {
        let url = format!("{origin}/to?{target}");
        let probe =
            json!({"do": "http", "url": url, "redirects": redirects, "with_password": true});
        async move {
            let plugin = with_web(web, probe, true).await;
            asked(&plugin, "ada", PASSWORD).await.unwrap()
        }
    };
    let (code, said) = ask("http://127.0.0.1:1/".to_owned(), 5).await;
    assert!(
        code == "refused" && said.contains("redirection"),
        "{code} {said}"
    );
    let followed = ask(format!("{origin}/echo"), 1).await;
    assert_eq!(followed, ("answered".to_owned(), "200  [] []".to_owned()));
    let unfollowed = ask("http://127.0.0.1:1/".to_owned(), 0).await;
    assert_eq!(unfollowed, ("answered".to_owned(), "303 ".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirection_takes_no_secret_to_another_origin() {
    let web = web().await;
    let origin = format!("http://localhost:{}", web.port());
    let follow = |target: String| {
        let probe = json!({
            "do": "http", "url": format!("{origin}/to?{target}"), "redirects": 1,
            "with_header": true, "credential": "api",
        });
        async move {
            let plugin = with_web(web, probe, true).await;
            asked(&plugin, "ada", PASSWORD).await.unwrap().1
        }
    };
    let same = follow(format!("{origin}/echo")).await;
    assert_eq!(same, format!("200  [Bearer t0ken] [{PASSWORD}]"));
    // Granted as well, and reached; but neither password nor credential was meant for it.
    let other = follow(format!("http://127.0.0.1:{}/echo", web.port())).await;
    assert_eq!(other, "200  [] []");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_or_never_comes_is_told_apart() {
    let web = web().await;
    for (path, outcome) in [("/large", "too-large"), ("/never", "unavailable")] {
        let probe = json!({"do": "http", "url": format!("http://localhost:{}{path}", web.port())});
        let plugin = with_web(web, probe, true).await;
        assert_eq!(
            asked(&plugin, "ada", "").await.unwrap().0,
            outcome,
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_not_sent() {
    let web = web().await;
    let origin = format!("http://localhost:{}", web.port());
    for (probe, named) in [
        (json!({"url": "http://elsewhere.example/"}), "the URL"),
        (
            json!({"url": format!("https://localhost:{}/echo", web.port())}),
            "the URL",
        ),
        (
            json!({"url": format!("{origin}/large"), "with_password": true}),
            "secrets towards",
        ),
        (
            json!({"url": format!("{origin}/echo"), "credential": "other"}),
            "the credential",
        ),
        (
            json!({"url": format!("{origin}/large"), "credential": "api"}),
            "the credential",
        ),
    ] {
        let mut settings = probe.clone();
        settings["do"] = "http".into();
        let plugin = with_web(web, settings, true).await;
        let failure = asked(&plugin, "ada", PASSWORD).await.unwrap_err();
        assert!(
            matches!(&failure, HookFailure::NotGranted { what } if what.contains(named)),
            "{probe}: {failure}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_a_secret_needs_its_own_grant() {
    let secrets = Grants::of([Capability::Secrets]);
    let refused = bound("guest-reveal", Outside::default(), json!({}), secrets).await;
    let needed = LoadError::NotGranted {
        capability: "reveal-secrets",
        reason: None,
    };
    assert_eq!(refused.err(), Some(needed));
    let both = Grants::of([Capability::Secrets, Capability::RevealSecrets]);
    let plugin = bound("guest-reveal", Outside::default(), json!({}), both).await;
    let (code, said) = asked(&plugin.unwrap(), "ada", PASSWORD).await.unwrap();
    assert_eq!((code.as_str(), said.as_str()), ("revealed", PASSWORD));
}
