// The smallest directory: one person, whose name and password hash stand in the settings. The plugin never sees a password: it hands
// the hash to the host, which compares.

import { get as settings } from "lanyard:policy/settings@0.1.0-dev";

/** Reads the settings; what is thrown is what the operator reads. */
function read(text) {
    const { name, password_hash: passwordHash, ...others } = JSON.parse(text);
    const [unknown] = Object.keys(others);
    if (unknown !== undefined) {
        throw `unknown field \`${unknown}\`, expected \`name\` or \`password_hash\``;
    }
    if (typeof name !== "string") {
        throw "missing field `name`: the name to sign in with";
    }
    if (typeof passwordHash !== "string" || !passwordHash.startsWith("$argon2id$")) {
        throw "password_hash is no PHC string of argon2id: $argon2id$v=19$m=19456,t=2,p=1$…$…";
    }
    return { name, passwordHash };
}

const person = ({ name }) => ({ id: name, displayName: name, attributes: [] });

export const directory = {
    begin(request, password) {
        const known = read(settings());
        if (request.userName !== known.name) {
            return { tag: "abstain" };
        }
        if (password.verify(known.passwordHash)) {
            return { tag: "authenticated", val: person(known) };
        }
        const message = "User name or password is wrong.";
        return { tag: "rejected", val: { code: "wrong-password", message, reliedOn: [] } };
    },

    resume() {
        throw "this directory never asks for a second step";
    },

    lookup(request) {
        const known = read(settings());
        return request.personId === known.name
            ? { tag: "active", val: person(known) }
            : { tag: "unknown" };
    },
};

export const settingsCheck = {
    check(text) {
        read(text);
    },
};
