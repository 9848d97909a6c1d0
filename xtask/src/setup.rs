//! What a machine needs before anything can be built or tested; looks for it, and installs what is missing where
//! that is ours to do (a Rust target through rustup; system packages as root on Debian and Ubuntu).

use std::path::Path;
use std::process::{Command, Stdio};

use crate::postgres;
use crate::stage::{Failure, Stage};

/// Something from outside the workspace that a build or a test calls.
pub(crate) struct Need {
    name: &'static str,
    why: &'static str,
    /// The Debian packages that bring it.
    packages: &'static [&'static str],
    is_there: fn() -> bool,
}

const C_COMPILER: Need = Need {
    name: "a C compiler with the C library's headers (`cc`)",
    why: "compiles OpenSSL, SQLite and ring",
    packages: &["gcc", "libc6-dev"],
    is_there: || preprocesses("#include <stdio.h>\n"),
};

const PERL: Need = Need {
    name: "perl with its standard modules",
    why: "configures OpenSSL's build",
    packages: &["perl"],
    is_there: || {
        // Minimal systems have a perl without these, and OpenSSL's Configure stops at the first one.
        let modules = ["FindBin", "IPC::Cmd", "File::Compare", "File::Copy"];
        let mut perl = Command::new("perl");
        perl.args(modules.map(|module| format!("-M{module}")));
        succeeds(perl.args(["-e", "1"]))
    },
};

const MAKE: Need = Need {
    name: "`make`",
    why: "builds OpenSSL",
    packages: &["make"],
    is_there: || succeeds(Command::new("make").arg("--version")),
};

const OPENSSL: Need = Need {
    name: "the `openssl` command",
    why: "tests let it verify, decrypt and dump what Lanyard signs, encrypts and issues",
    packages: &["openssl"],
    is_there: || succeeds(Command::new("openssl").arg("version")),
};

const STRONGSWAN_PKI: Need = Need {
    name: "strongSwan's `pki` command with `--scep`, and its plugin for HTTP",
    why: "tests let it enroll as a foreign SCEP client",
    packages: &["strongswan-pki", "libstrongswan-extra-plugins"],
    is_there: || {
        // Other products install a program of this name, and without its plugin this one can fetch nothing, so its own
        // words decide. Nobody listens on port 9.
        let says = |arguments: &[&str]| {
            let output = Command::new("pki")
                .args(arguments)
                .stdin(Stdio::null())
                .output();
            let text = output.map(|output| [output.stdout, output.stderr].concat());
            String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
        };
        says(&["--help"]).contains("--scep")
            && !says(&["--scepca", "--url", "http://127.0.0.1:9/"]).contains("no capable fetcher")
    },
};

const SLAPD: Need = Need {
    name: "OpenLDAP's server `slapd`",
    why: "tests let plugins ask a real directory",
    packages: &["slapd"],
    is_there: || Path::new("/usr/sbin/slapd").exists(),
};

const NPM: Need = Need {
    name: "Node.js from 18 on with `npm`",
    why: "tests build the plugin that is written in JavaScript",
    packages: &["nodejs", "npm"],
    is_there: || {
        let from_18 = "process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)";
        succeeds(Command::new("node").args(["-e", from_18]))
            && succeeds(Command::new("npm").arg("--version"))
    },
};

const POSTGRESQL: Need = Need {
    name: "PostgreSQL's server",
    why: "tests run on it as well as on SQLite",
    packages: &["postgresql"],
    is_there: postgres::is_there,
};

/// What building and running takes.
pub(crate) static TO_BUILD: [Need; 3] = [C_COMPILER, PERL, MAKE];

/// What measuring takes.
pub(crate) static TO_MEASURE: [Need; 4] = [C_COMPILER, PERL, MAKE, POSTGRESQL];

/// What testing takes as well.
pub(crate) static EVERYTHING: [Need; 8] = [
    C_COMPILER,
    PERL,
    MAKE,
    OPENSSL,
    STRONGSWAN_PKI,
    SLAPD,
    NPM,
    POSTGRESQL,
];

/// The Rust target that plugins are compiled for.
const PLUGIN_TARGET: &str = "wasm32-wasip2";

/// Sees to it that the plugin target and every need is there, or says exactly what is not and how to get it.
pub(crate) fn prepare(needs: &[Need]) -> Result<(), Failure> {
    let stage = Stage::begin("Preparing this machine: what the build needs from outside");
    plugin_target()?;
    let mut missing: Vec<&Need> = needs.iter().filter(|need| !(need.is_there)()).collect();
    if !missing.is_empty() && is_debian() && is_root() {
        install(&packages_of(&missing))?;
        missing.retain(|need| !(need.is_there)());
    }
    if missing.is_empty() {
        stage.done();
        return Ok(());
    }
    Err(Failure::new(describe(&missing, is_debian(), is_root())))
}

fn plugin_target() -> Result<(), Failure> {
    if target_is_there() {
        return Ok(());
    }
    eprintln!("    rustup target add {PLUGIN_TARGET}    (plugins are compiled for it)");
    let added = succeeds_aloud(Command::new("rustup").args(["target", "add", PLUGIN_TARGET]));
    if added && target_is_there() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the Rust target {PLUGIN_TARGET} is missing and `rustup target add {PLUGIN_TARGET}` did not bring it. With a Rust \
         that rustup does not manage, install its standard library for that target from the same source as Rust itself."
    )))
}

/// The compiler is asked, not rustup: a Rust from elsewhere may have the target too.
fn target_is_there() -> bool {
    Command::new("rustc")
        .args(["--print", "target-libdir", "--target", PLUGIN_TARGET])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| {
            let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            !folder.is_empty() && Path::new(&folder).is_dir()
        })
}

fn install(packages: &[&str]) -> Result<(), Failure> {
    eprintln!("    apt-get install {}", packages.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let mut install = apt(&["install", "-y", "--no-install-recommends"]);
    install.args(packages);
    for mut command in [apt(&["update"]), install] {
        if !succeeds_aloud(&mut command) {
            return Err(Failure::new(format!("this did not succeed: {command:?}")));
        }
    }
    Ok(())
}

/// The packages of all needs, each once, in order.
fn packages_of(needs: &[&Need]) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for package in needs.iter().flat_map(|need| need.packages) {
        if !packages.contains(package) {
            packages.push(*package);
        }
    }
    packages
}

/// What is missing, what it is for, and the command that brings it.
fn describe(missing: &[&Need], debian: bool, root: bool) -> String {
    let mut text = String::from("this machine lacks:\n");
    for need in missing {
        text += &format!("  - {}: {}\n", need.name, need.why);
    }
    let packages = packages_of(missing).join(" ");
    let sudo = if root { "" } else { "sudo " };
    text += &if debian {
        format!(
            "Install it and run this again:\n  {sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {packages}"
        )
    } else {
        format!(
            "Install it with this system's package manager and run this again (Debian calls the packages: {packages})."
        )
    };
    text
}

fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists() && succeeds(Command::new("apt-get").arg("--version"))
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn preprocesses(source: &str) -> bool {
    use std::io::Write as _;

    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let child = Command::new(compiler)
        .args(["-E", "-x", "c", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.is_ok_and(|mut child| {
        let written = child
            .stdin
            .take()
            .is_some_and(|mut input| input.write_all(source.as_bytes()).is_ok());
        let exited = child.wait().is_ok_and(|status| status.success());
        written && exited
    })
}

fn succeeds(command: &mut Command) -> bool {
    succeeds_aloud(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
}

fn succeeds_aloud(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_the_command_that_brings_it() {
        let missing = [&C_COMPILER, &STRONGSWAN_PKI];
        let line = "apt-get install -y --no-install-recommends gcc libc6-dev strongswan-pki \
                    libstrongswan-extra-plugins";

        let as_user = describe(&missing, true, false);
        assert!(as_user.contains(&format!("sudo {line}")), "{as_user}");
        let as_root = describe(&missing, true, true);
        assert!(
            as_root.contains(line) && !as_root.contains("sudo"),
            "{as_root}"
        );
        let elsewhere = describe(&missing, false, false);
        assert!(!elsewhere.contains("apt-get"), "{elsewhere}");
        for text in [as_user, as_root, elsewhere] {
            for need in missing {
                assert!(text.contains(need.name) && text.contains(need.why));
            }
        }
    }

    #[test]
    fn a_package_is_named_once() {
        assert_eq!(packages_of(&[&MAKE, &PERL, &MAKE]), ["make", "perl"]);
    }
}
