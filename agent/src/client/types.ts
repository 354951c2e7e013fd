/** Made from the API's OpenAPI document by `npm run generate`: do not edit. */

export interface paths {
    "/api/v1/access/api-keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List API keys
         * @description The caller's own; everybody's for whom access:read is permitted. The keys themselves are shown once, when made.
         */
        get: operations["listApiKeys"];
        put?: never;
        /**
         * Make an API key
         * @description Its roles may allow no more than the caller may do; what it may do is looked up at each use and ends with the rights of its owner.
         */
        post: operations["createApiKey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/api-keys/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read an API key
         * @description What it may do and when it was last used; not the key itself.
         */
        get: operations["getApiKey"];
        put?: never;
        post?: never;
        /**
         * Delete an API key
         * @description It is refused from then on. Another's takes access:delete.
         */
        delete: operations["deleteApiKey"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the audit log, newest first, or export it
         * @description Every change, login and refused attempt. With format=jsonl the answer is application/jsonl: the records oldest first, one line each, as they stand in the log.
         */
        get: operations["listAuditRecords"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/audit-targets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List audit targets
         * @description Every audit target with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listAuditTargets"];
        put?: never;
        /**
         * Create an audit target
         * @description The audit target with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createAuditTarget"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/audit-targets/{target}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read an audit target
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getAuditTarget"];
        /**
         * Create an audit target or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putAuditTarget"];
        post?: never;
        /**
         * Delete an audit target
         * @description Refused while something else needs the audit target.
         */
        delete: operations["deleteAuditTarget"];
        options?: never;
        head?: never;
        /**
         * Change fields of an audit target (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchAuditTarget"];
        trace?: never;
    };
    "/api/v1/access/audit-targets/{target}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read how far a syslog server has got
         * @description Of this agent; the place is kept over restarts.
         */
        get: operations["getAuditTargetStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/audit/verify": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Walk the chain of records and name the first that is not as it was written
         * @description Also says where the chain ends, to compare with a copy elsewhere. Reads the whole log.
         */
        get: operations["verifyAuditLog"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/directories": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List directories
         * @description Every directory with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listDirectories"];
        put?: never;
        /**
         * Create a directory
         * @description The directory with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createDirectory"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/directories/{directory}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a directory
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getDirectory"];
        /**
         * Create a directory or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putDirectory"];
        post?: never;
        /**
         * Delete a directory
         * @description Refused while something else needs the directory.
         */
        delete: operations["deleteDirectory"];
        options?: never;
        head?: never;
        /**
         * Change fields of a directory (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchDirectory"];
        trace?: never;
    };
    "/api/v1/access/directories/{directory}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Try a directory with a user and a password, and tell each step
         * @description Opens no session and changes nothing. From the 11th try of a user on each one has to wait.
         */
        post: operations["testDirectory"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/groups": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List groups
         * @description Every group with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listGroups"];
        put?: never;
        /**
         * Create a group
         * @description The group with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createGroup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/groups/{group}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a group
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getGroup"];
        /**
         * Create a group or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putGroup"];
        post?: never;
        /**
         * Delete a group
         * @description Refused while something else needs the group.
         */
        delete: operations["deleteGroup"];
        options?: never;
        head?: never;
        /**
         * Change fields of a group (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchGroup"];
        trace?: never;
    };
    "/api/v1/access/lockouts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List users who have to wait
         * @description After too many wrong passwords; in memory, so gone when the agent restarts.
         */
        get: operations["listLockouts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/lockouts/{user}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Let a user try again at once
         * @description The delay of an address stays.
         */
        delete: operations["deleteLockout"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read who is calling, and what it may do
         * @description A browser finds the token for the header X-CSRF-Token here.
         */
        get: operations["getCaller"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/me/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Change the own password
         * @description Ends all sessions of the caller, this one too.
         */
        put: operations["changeOwnPassword"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/me/second-factor": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read whether the caller has a second factor
         * @description The secret is never shown again.
         */
        get: operations["getOwnSecondFactor"];
        put?: never;
        /**
         * Begin a second factor (TOTP) for the caller
         * @description Put the secret into an authenticator app and confirm with its first code within ten minutes.
         */
        post: operations["beginSecondFactor"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/me/second-factor/confirm": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Confirm the second factor by its first code
         * @description From now on a code is asked for at login. Keep the recovery codes where the phone is not.
         */
        post: operations["confirmSecondFactor"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/me/second-factor/end": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * End the caller's second factor
         * @description Takes a code, so that a stolen session alone cannot end it.
         */
        post: operations["endSecondFactor"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/me/second-factor/recovery-codes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Make new recovery codes
         * @description The old ones end. Takes a code.
         */
        post: operations["renewRecoveryCodes"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/me/ssh-keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Replace the own SSH keys
         * @description For the shell of the box, which takes the permission shell:use.
         */
        put: operations["putOwnSshKeys"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/roles": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List roles
         * @description Every role with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listRoles"];
        put?: never;
        /**
         * Create a role
         * @description The role with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createRole"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/roles/{role}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a role
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getRole"];
        /**
         * Create a role or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putRole"];
        post?: never;
        /**
         * Delete a role
         * @description Refused while something else needs the role.
         */
        delete: operations["deleteRole"];
        options?: never;
        head?: never;
        /**
         * Change fields of a role (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchRole"];
        trace?: never;
    };
    "/api/v1/access/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List sessions
         * @description The caller's own; everybody's for whom access:read is permitted. Newest first.
         */
        get: operations["listSessions"];
        put?: never;
        post?: never;
        /**
         * End all sessions of a user
         * @description The caller's own unless told; another's with access:delete. The session of this request ends too.
         */
        delete: operations["revokeSessions"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/sessions/{session}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * End a session
         * @description One's own; anybody's with access:delete.
         */
        delete: operations["revokeSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/settings": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the settings of logins
         * @description How long a session lasts.
         */
        get: operations["getAccessSettings"];
        /**
         * Replace the settings of logins
         * @description Fields that are left out go back to their defaults.
         */
        put: operations["putAccessSettings"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Change some of the settings of logins (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default.
         */
        patch: operations["patchAccessSettings"];
        trace?: never;
    };
    "/api/v1/access/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List users
         * @description Every user with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listUsers"];
        put?: never;
        /**
         * Create an user
         * @description The user with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createUser"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/access/users/{user}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read an user
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getUser"];
        /**
         * Create an user or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putUser"];
        post?: never;
        /**
         * Delete an user
         * @description Refused while something else needs the user.
         */
        delete: operations["deleteUser"];
        options?: never;
        head?: never;
        /**
         * Change fields of an user (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchUser"];
        trace?: never;
    };
    "/api/v1/access/users/{user}/second-factor": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * End a user's second factor
         * @description For the day phone and recovery codes are lost. Takes all the rights of that user.
         */
        delete: operations["resetSecondFactor"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/certificates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List certificates
         * @description Every certificate with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listCertificates"];
        put?: never;
        /**
         * Create a certificate
         * @description The certificate with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createCertificate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/certificates/{certificate}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a certificate
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getCertificate"];
        /**
         * Create a certificate or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putCertificate"];
        post?: never;
        /**
         * Delete a certificate
         * @description Refused while something else needs the certificate.
         */
        delete: operations["deleteCertificate"];
        options?: never;
        head?: never;
        /**
         * Change fields of a certificate (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchCertificate"];
        trace?: never;
    };
    "/api/v1/certificates/{certificate}/request": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Make a key and a request for an authority to sign
         * @description A new certificate with a key that is made here and never leaves, and its request (PKCS #10). What the authority answers is set as its field certificate.
         */
        post: operations["requestCertificate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/certificates/{certificate}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What stands in a certificate, and how it stands with it
         * @description Names, key, fingerprint, and how long it is valid.
         */
        get: operations["getCertificateStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/configuration": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the whole configuration, secrets hidden
         * @description Every object by name, as the current generation has it, as far as the caller may read it.
         */
        get: operations["getConfiguration"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/configuration/confirm": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Confirm the pending change: it stays
         * @description 404 when there is none, 412 when it is not the generation that the body names.
         */
        post: operations["confirmConfiguration"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/configuration/diff": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What differs between two generations, object by object
         * @description Each object that was added, removed or changed, as unified diff of its YAML, secrets hidden.
         */
        get: operations["diffGenerations"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/configuration/generations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The history, newest first
         * @description Each commit made one generation: who, from where, when and what.
         */
        get: operations["listGenerations"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/configuration/generations/{generation}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read one generation
         * @description Who made it, and the whole configuration it holds, secrets hidden.
         */
        get: operations["getGeneration"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/configuration/import/zevenet": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Take over a backup of ZEVENET or SKUDONET
         * @description Reads a backup of the Community Edition 5 to 7 and reports each thing in it as taken, changed or not supported. Without commit=true nothing changes.
         */
        post: operations["importZevenet"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/configuration/pending": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the change that awaits its confirmation
         * @description 404 when there is none.
         */
        get: operations["getPendingCommit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/configuration/pending/revert": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Take the pending change back now
         * @description The confirmed configuration comes back as a new generation, as it would when the time is up. What cannot be applied is tried again.
         */
        post: operations["revertPendingCommit"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/configuration/rollback": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Make a new generation with the content of an old one
         * @description A commit like any other: checked, applied, and undone when it cannot be applied.
         */
        post: operations["rollbackConfiguration"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/configuration/verify": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Check every generation against its hash and the chain of hashes
         * @description Reads all of them again. A problem tells that files were damaged or altered, or that the metadata were.
         */
        get: operations["verifyConfiguration"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dslb/farms": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List uplink farms
         * @description Every uplink farm with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listUplinkFarms"];
        put?: never;
        /**
         * Create an uplink farm
         * @description The uplink farm with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createUplinkFarm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dslb/farms/{farm}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read an uplink farm
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getUplinkFarm"];
        /**
         * Create an uplink farm or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putUplinkFarm"];
        post?: never;
        /**
         * Delete an uplink farm
         * @description Refused while something else needs the uplink farm.
         */
        delete: operations["deleteUplinkFarm"];
        options?: never;
        head?: never;
        /**
         * Change fields of an uplink farm (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchUplinkFarm"];
        trace?: never;
    };
    "/api/v1/dslb/farms/{farm}/uplinks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List uplinks
         * @description Every uplink with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listUplinks"];
        put?: never;
        /**
         * Create an uplink
         * @description The uplink with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createUplink"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dslb/farms/{farm}/uplinks/{uplink}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read an uplink
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getUplink"];
        /**
         * Create an uplink or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putUplink"];
        post?: never;
        /**
         * Delete an uplink
         * @description Refused while something else needs the uplink.
         */
        delete: operations["deleteUplink"];
        options?: never;
        head?: never;
        /**
         * Change fields of an uplink (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchUplink"];
        trace?: never;
    };
    "/api/v1/dslb/farms/{farm}/uplinks/{uplink}/return": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Use an uplink again that waits for its return
         * @description For farms whose uplinks return manually, and to end a hold time early. 404 when the uplink does not wait.
         */
        post: operations["returnUplink"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dslb/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What the kernel does for the farms of uplinks
         * @description State, probes, connections and bytes of each uplink.
         */
        get: operations["listUplinkStatuses"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow what happens, as Server-Sent Events
         * @description Each event has an id, its kind as `event`, and JSON as `data`: {id, topic, kind, time, data}. With the header `Last-Event-ID`, which browsers send by themselves, the stream goes on after that event; when some are gone by then, it begins with the event `gap`. A comment comes every 15 seconds. Who reads too slowly, or is no longer logged in, gets the event `end` with the reason.
         */
        get: operations["streamEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/farms": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List farms
         * @description Every farm with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listFarms"];
        put?: never;
        /**
         * Create a farm
         * @description The farm with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createFarm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/farms/{farm}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a farm
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getFarm"];
        /**
         * Create a farm or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putFarm"];
        post?: never;
        /**
         * Delete a farm
         * @description Refused while something else needs the farm.
         */
        delete: operations["deleteFarm"];
        options?: never;
        head?: never;
        /**
         * Change fields of a farm (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchFarm"];
        trace?: never;
    };
    "/api/v1/farms/{farm}/backends": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List backends
         * @description Every backend with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listBackends"];
        put?: never;
        /**
         * Create a backend
         * @description The backend with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createBackend"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/farms/{farm}/backends/{backend}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a backend
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getBackend"];
        /**
         * Create a backend or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putBackend"];
        post?: never;
        /**
         * Delete a backend
         * @description Refused while something else needs the backend.
         */
        delete: operations["deleteBackend"];
        options?: never;
        head?: never;
        /**
         * Change fields of a backend (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchBackend"];
        trace?: never;
    };
    "/api/v1/farms/{farm}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What the data plane really has of a farm
         * @description Read from the rules and the connections of the kernel, not from the configuration.
         */
        get: operations["getFarmStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/first-boot": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Give the first answers (local socket only, while there is no configuration)
         * @description The answers of the console wizard, or of an answer file, become the first generation of the configuration. With confirmWithin they have to be confirmed, or the first boot begins again.
         */
        post: operations["completeFirstBoot"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/first-boot/report": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read what became of the first boot
         * @description Source, time, what was made and what was odd, without secrets. 404 on a box that left none.
         */
        get: operations["getFirstBootReport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List jobs
         * @description Newest first: the caller's own; everybody's for whom jobs:read is permitted. Of those that have ended the last 100 are kept, also over a restart.
         */
        get: operations["listJobs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{job}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a job: its state, how far it is, and what it made
         * @description The events of the topic jobs tell of each change as it happens.
         */
        get: operations["getJob"];
        put?: never;
        post?: never;
        /**
         * Forget a job that has ended
         * @description 409 while it has not: cancel it first. That of another user takes jobs:delete.
         */
        delete: operations["deleteJob"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{job}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Cancel a job
         * @description It ends soon and leaves nothing behind; one that has ended stays as it is. That of another user takes jobs:cancel.
         */
        post: operations["cancelJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{job}/log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the log of a job
         * @description At most 500 lines; the last 20 after a restart of the agent.
         */
        get: operations["getJobLog"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/network/bond-proposals": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Bonds that the cabling suggests
         * @description Cards with carrier that nothing uses: those that hear LACP from one group of ports, or have the same LLDP neighbour. A quiet partner sends LACP every 30 seconds.
         */
        get: operations["listBondProposals"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/network/interfaces": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List interfaces
         * @description Every interface with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listInterfaces"];
        put?: never;
        /**
         * Create an interface
         * @description The interface with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createInterface"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/network/interfaces/{interface}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read an interface
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getInterface"];
        /**
         * Create an interface or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putInterface"];
        post?: never;
        /**
         * Delete an interface
         * @description Refused while something else needs the interface.
         */
        delete: operations["deleteInterface"];
        options?: never;
        head?: never;
        /**
         * Change fields of an interface (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchInterface"];
        trace?: never;
    };
    "/api/v1/network/interfaces/{interface}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What the machine reports of an interface
         * @description State, addresses, gateways and counters, read from the kernel.
         */
        get: operations["getInterfaceStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/network/links": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The links the machine has, configured or not
         * @description Network cards, bonds and VLANs as the kernel has them now, and the names whose card is missing, with those that may be in its place.
         */
        get: operations["listLinks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/network/links/{link}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a link
         * @description What the machine knows of one link.
         */
        get: operations["getLink"];
        put?: never;
        post?: never;
        /**
         * Give up the name of a missing card
         * @description The name is free for the next new card. Refused when the card is there or the name is configured.
         */
        delete: operations["deleteLink"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/network/links/{link}/adopt": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Give the name of a missing card to another one
         * @description After a card was replaced: the card in its place takes its name, and what is configured for that name. Refused when the missing card is there, when the other one is configured, and when several would fit and none is named.
         */
        post: operations["adoptLink"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/network/virtual-addresses": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List virtual addresses
         * @description Every virtual address with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listVirtualAddresses"];
        put?: never;
        /**
         * Create a virtual address
         * @description The virtual address with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createVirtualAddress"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/network/virtual-addresses/{address}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a virtual address
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getVirtualAddress"];
        /**
         * Create a virtual address or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putVirtualAddress"];
        post?: never;
        /**
         * Delete a virtual address
         * @description Refused while something else needs the virtual address.
         */
        delete: operations["deleteVirtualAddress"];
        options?: never;
        head?: never;
        /**
         * Change fields of a virtual address (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchVirtualAddress"];
        trace?: never;
    };
    "/api/v1/network/virtual-addresses/{address}/hold": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Take a virtual address that was given up
         * @description Refused while another host has it, unless forced. Neighbours are told at once.
         */
        post: operations["holdVirtualAddress"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/network/virtual-addresses/{address}/release": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Give a virtual address up, for another box to have it
         * @description It leaves this node and stays away, over restarts too, until it is held again. The configuration does not change: farms on it stay.
         */
        post: operations["releaseVirtualAddress"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/network/virtual-addresses/{address}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Whether this node holds a virtual address
         * @description What this node has been told, and what the kernel has.
         */
        get: operations["getVirtualAddressStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read this description
         * @description OpenAPI 3.1, made from the schemas that check the requests.
         */
        get: operations["getOpenApi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/recovery/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Tell whether the console may set a new administrator's password
         * @description Within 15 minutes of a start, unless system.console.passwordReset is false.
         */
        get: operations["getPasswordReset"];
        put?: never;
        /**
         * Set a new password of admin from the console (local socket only)
         * @description For whoever is at the machine and cannot log in: restarts show, and so does this, in the audit log, in the history, as an event and in the health of the box until the next start. A second factor of admin ends, sessions and all.
         */
        post: operations["resetPassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reference": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The reference of the API, for a browser
         * @description A page made from `/api/v1/openapi.json`, where every request can be tried. It loads nothing from anywhere else. Log in there with `POST /api/v1/sessions` and `cookie: true`, or give a token or an API key to Authorize.
         */
        get: operations["getReference"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reference/{file}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A file of the reference's page
         * @description One of swagger-ui.css, swagger-ui-bundle.js, start.js. The page names each with the hash of its content, so that a browser keeps it until the content is another.
         */
        get: operations["getReferenceFile"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/routing/routes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List routes
         * @description Every route with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listRoutes"];
        put?: never;
        /**
         * Create a route
         * @description The route with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createRoute"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/routing/routes/{route}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a route
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getRoute"];
        /**
         * Create a route or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putRoute"];
        post?: never;
        /**
         * Delete a route
         * @description Refused while something else needs the route.
         */
        delete: operations["deleteRoute"];
        options?: never;
        head?: never;
        /**
         * Change fields of a route (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchRoute"];
        trace?: never;
    };
    "/api/v1/routing/rules": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List routing rules
         * @description Every routing rule with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listRoutingRules"];
        put?: never;
        /**
         * Create a routing rule
         * @description The routing rule with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createRoutingRule"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/routing/rules/{rule}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a routing rule
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getRoutingRule"];
        /**
         * Create a routing rule or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putRoutingRule"];
        post?: never;
        /**
         * Delete a routing rule
         * @description Refused while something else needs the routing rule.
         */
        delete: operations["deleteRoutingRule"];
        options?: never;
        head?: never;
        /**
         * Change fields of a routing rule (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchRoutingRule"];
        trace?: never;
    };
    "/api/v1/routing/status/routes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The routes the kernel has, and who made each
         * @description Of every table but the kernel's own table of local addresses. `origin=unmanaged`: those that are left alone.
         */
        get: operations["listRouteStatuses"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/routing/status/rules": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The routing rules the kernel has, and who made each
         * @description In the order in which the kernel asks them.
         */
        get: operations["listRuleStatuses"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/routing/tables": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List routing tables
         * @description Every routing table with all its fields; filtered, sorted and in pages when asked for.
         */
        get: operations["listRoutingTables"];
        put?: never;
        /**
         * Create a routing table
         * @description The routing table with its name. Fields that are left out get their defaults; a name that is taken is refused.
         */
        post: operations["createRoutingTable"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/routing/tables/{table}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a routing table
         * @description With all its fields, defaults filled in: what was read can be put back as it is.
         */
        get: operations["getRoutingTable"];
        /**
         * Create a routing table or replace it whole
         * @description Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.
         */
        put: operations["putRoutingTable"];
        post?: never;
        /**
         * Delete a routing table
         * @description Refused while something else needs the routing table.
         */
        delete: operations["deleteRoutingTable"];
        options?: never;
        head?: never;
        /**
         * Change fields of a routing table (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default, or removes a member.
         */
        patch: operations["patchRoutingTable"];
        trace?: never;
    };
    "/api/v1/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Log in
         * @description Answers with a token for the header Authorization. When a second factor is wanted, 401 second-factor-required has a challenge: send it here with a code. Wrong passwords cost time: see Retry-After.
         */
        post: operations["createSession"];
        /**
         * Log out
         * @description The token of this request ends.
         */
        delete: operations["deleteSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions/second-factor": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Begin a second factor during login
         * @description For a user of whom one is required and who has none: then send the challenge with the first code.
         */
        post: operations["beginRequiredSecondFactor"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/status/farms": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What the data plane really has of the farms, read in one go
         * @description The kernel's rules are read once, whatever the number of farms: for many farms ask here, not farm by farm.
         */
        get: operations["listFarmStatuses"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/system": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the system's settings
         * @description Host name, DNS, time, static names, proxy, management and SSH: one object that always exists.
         */
        get: operations["getSystem"];
        /**
         * Replace the system's settings
         * @description Fields that are left out go back to their defaults.
         */
        put: operations["putSystem"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Change some of the system's settings (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default.
         */
        patch: operations["patchSystem"];
        trace?: never;
    };
    "/api/v1/system/backup-schedule": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the schedule of backups
         * @description Backups the box makes by itself, for public keys of age: their secret keys are not on the box.
         */
        get: operations["getBackupSchedule"];
        /**
         * Replace the schedule of backups
         * @description Fields that are left out go back to their defaults.
         */
        put: operations["putBackupSchedule"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Change some of the schedule of backups (JSON merge patch, RFC 7396)
         * @description Fields that are left out stay; null takes one back to its default.
         */
        patch: operations["patchBackupSchedule"];
        trace?: never;
    };
    "/api/v1/system/backups": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the backups that are kept on the box
         * @description With what is known of them without their key.
         */
        get: operations["listBackups"];
        put?: never;
        /**
         * Make a backup, and keep it on the box
         * @description One age file, encrypted with the passphrase or for public keys, with the configuration, its secrets and, unless told otherwise, the keys of this box. The answer is the job; its result has the name of the backup.
         */
        post: operations["createBackup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/system/backups/{backup}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read what is known of a backup without its key
         * @description Who has the key sees more by a dry run of restoring it.
         */
        get: operations["getBackup"];
        put?: never;
        post?: never;
        /**
         * Delete a backup
         * @description Only from this box.
         */
        delete: operations["deleteBackup"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/system/backups/{backup}/file": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Fetch a backup: the encrypted file
         * @description age --decrypt opens it on any computer; inside is a .tar.gz.
         */
        get: operations["downloadBackup"];
        /**
         * Bring a backup to the box, to restore it
         * @description At most 64 MiB. Only its first lines are looked at: the rest cannot be read without its key. A backup of this name must not be there.
         */
        put: operations["uploadBackup"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/system/backups/{backup}/restore": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Restore a backup
         * @description A change like any other: checked, applied or put back, and to be confirmed where it can cut off the operator. Network cards are found by their permanent MAC address; other places are proposed, and taken when they are named in map or with acceptProposals. With dryRun=true the answer says what would change. The keys of the box, with identity, are no part of what a missing confirmation takes back.
         */
        post: operations["restoreBackup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/system/certificate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the certificate the API shows
         * @description The one of system.management.certificate, or else one the box has made and signed itself.
         */
        get: operations["getManagementCertificate"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/system/certificate/regenerate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Make a new self-signed certificate
         * @description With a new key and the host name of now. Shown at once, unless another one is configured; connections go on. Clients that know the old fingerprint have to be told the new one.
         */
        post: operations["regenerateManagementCertificate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/system/factory-reset": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Reset the box to its factory state, and start it again
         * @description Takes away the configuration with its history, the users, the keys and certificates, the machine id and, unless kept, logs and backups. The box then asks its first questions on its console, or takes an answer file. There is no way back but a backup that is kept elsewhere. Names the host, lest it is another one that is reset.
         */
        post: operations["resetToFactory"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/system/seal": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Take the identity from the box and power it off, to clone its disk
         * @description Takes away the machine id, SSH host keys, the API's key and certificate, the names bound to cards, sessions, journals, audit log, history and backups; the configuration too, unless it is kept. What starts from the disk next makes an identity of its own.
         */
        post: operations["sealSystem"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/system/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * How the box is
         * @description Version, uptime, memory, disks, the generation in use and the units that matter.
         */
        get: operations["getSystemStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/transactions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Change many objects in one commit
         * @description All or nothing: one generation, one plan. Every problem of every object is told at once. Each change needs the permission of its own route.
         */
        post: operations["commitTransaction"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        AccessSettings: {
            /** @description Of whom a second factor is required; others may have one */
            secondFactor: {
                /**
                 * @description Whoever holds one of these needs a second factor
                 * @default []
                 */
                roles: string[];
            };
            /** @description Limits of every session, those that are open too */
            sessions: {
                /**
                 * @description A session ends after this time at the latest
                 * @default 720
                 */
                absoluteMinutes: number;
                /**
                 * @description A session ends after this time without a request
                 * @default 30
                 */
                idleMinutes: number;
            };
        };
        AccessSettingsInput: {
            /**
             * @description Of whom a second factor is required; others may have one
             * @default {}
             */
            secondFactor?: {
                /**
                 * @description Whoever holds one of these needs a second factor
                 * @default []
                 */
                roles?: string[];
            };
            /**
             * @description Limits of every session, those that are open too
             * @default {}
             */
            sessions?: {
                /**
                 * @description A session ends after this time at the latest
                 * @default 720
                 */
                absoluteMinutes?: number;
                /**
                 * @description A session ends after this time without a request
                 * @default 30
                 */
                idleMinutes?: number;
            };
        };
        AdoptionInput: {
            /** @description Name the card has now; left out, the only one that is evidently in the place of the missing one */
            card?: string;
        };
        ArpMonitoring: {
            /**
             * @description A member needs an answer of every target
             * @default false
             */
            allTargets: boolean;
            /**
             * @description Milliseconds between two ARP requests
             * @default 1000
             */
            interval: number;
            /**
             * @description IPv4 addresses that are asked, such as the gateway
             * @default []
             */
            targets: string[];
            /**
             * @description Members whose ARP traffic must be an answer to count
             * @default none
             * @enum {string}
             */
            validate: "none" | "active" | "backup" | "all";
        };
        ArpMonitoringInput: {
            /**
             * @description A member needs an answer of every target
             * @default false
             */
            allTargets?: boolean;
            /**
             * @description Milliseconds between two ARP requests
             * @default 1000
             */
            interval?: number;
            /**
             * @description IPv4 addresses that are asked, such as the gateway
             * @default []
             */
            targets?: string[];
            /**
             * @description Members whose ARP traffic must be an answer to count
             * @default none
             * @enum {string}
             */
            validate?: "none" | "active" | "backup" | "all";
        };
        AuditPage: {
            /** @description Newest first */
            items: components["schemas"]["AuditRecord"][];
            /** @description There are more: ask for them with before=<next> */
            next?: number;
        };
        AuditRecord: {
            /** @description Unified diffs of what changed, secrets hidden */
            changes?: {
                /** @description added, removed or changed */
                change: string;
                /** @description Such as farms/web */
                object: string;
                /** @description Unified diff; empty when the diffs of the record are too long */
                text: string;
            }[];
            /** @description The kind of error */
            code?: string;
            /** @description What would have refused the change, had it not been forced */
            forced?: {
                /** @description What is expected */
                message: string;
                /** @description Of the offending field, such as farms.web.ports */
                path: string;
            }[];
            /** @description The generation that was current afterwards */
            generation?: number;
            /** @description SHA-256 of this line without this member */
            hash: string;
            /** @description How the user was known: session, api-key:<prefix>, local, console, agent, none */
            means: string;
            /** @description What was done, or why not */
            message?: string;
            /** @description Of the request */
            method?: string;
            /** @description Such as farms/web */
            object: string;
            /** @description The operationId of the API, or what the agent did by itself */
            operation: string;
            /** @description hash of the record before; 64 zeros for the first */
            previous: string;
            /** @description Each offending field of a refused change */
            problems?: {
                /** @description What is expected */
                message: string;
                /** @description Of the offending field, such as farms.web.ports */
                path: string;
            }[];
            /** @description The last record that retention removed */
            removed?: {
                /** @description Its hash */
                hash: string;
                /** @description Its number */
                sequence: number;
            };
            /** @description So many more like this one came within the minute and were only counted */
            repeated?: number;
            /** @description Also in the answer and in the journal */
            requestId?: string;
            /**
             * @description refused: nothing changed; failed: it was tried and taken back, or went wrong
             * @enum {string}
             */
            result: "done" | "refused" | "failed";
            /** @description The roles the user acted with */
            roles?: string[];
            /** @description Counts up by one, over all files */
            sequence: number;
            /** @description Address of the client, or local, console, answer-file, agent */
            source: string;
            /** @description The HTTP status */
            status?: number;
            /**
             * Format: date-time
             * @description RFC 3339 with milliseconds, UTC
             */
            time: string;
            /** @description Who; empty for nobody that is known */
            user: string;
        };
        AuditReport: {
            /** @description The first place where the chain breaks */
            broken?: {
                /** @description The number in the name of the file */
                file: number;
                /** @description Counted from 1 */
                line: number;
                /** @description What is wrong with it */
                reason: string;
                /** @description Of the record that is not as it should be, or is missing */
                sequence: number;
            };
            /** @description Sequence number of the oldest record; older ones were removed by retention */
            first: number;
            /** @description Of the newest record: compare it with the one a syslog server got */
            hash: string;
            /** @description Sequence number of the newest record */
            last: number;
            /** @description Number of records that were looked at */
            records: number;
            /** @description Every record is as it was written, none is missing, none was added */
            whole: boolean;
        };
        AuditTarget: {
            /** @description For tls: certificates of the authorities that may have signed the server's (PEM); left out: the public ones */
            caCertificates?: string;
            /**
             * @description For people
             * @default
             */
            description: string;
            /**
             * @description false: nothing is sent, and the place is kept
             * @default true
             */
            enabled: boolean;
            /**
             * @description Of the SD-ID steelyard@…; the default is the one for examples (RFC 5612)
             * @default 32473
             */
            enterpriseNumber: number;
            /**
             * @description Of RFC 5424
             * @default audit
             * @enum {string}
             */
            facility: "kern" | "user" | "daemon" | "auth" | "syslog" | "authpriv" | "audit" | "alert" | "local0" | "local1" | "local2" | "local3" | "local4" | "local5" | "local6" | "local7";
            /**
             * @description After the structured data. json: the record as it stands in the log, so that its hash can be checked; text: one sentence
             * @default json
             * @enum {string}
             */
            format: "json" | "text";
            /** @description Of the syslog server */
            host: string;
            /**
             * @description Greatest message the server takes; for udp 2048. A record that is longer goes without its diffs
             * @default 8192
             */
            maxBytes: number;
            /**
             * @description For tls: SHA-256 of the server's own certificate: these and no others, whoever signed them
             * @default []
             */
            pinnedCertificates: string[];
            /** @description Left out: 6514 for tls, 601 for tcp, 514 for udp */
            port?: number;
            /** @description For tls: the name in the certificate, where it is not the host */
            serverName?: string;
            /**
             * @description tls: RFC 5425; tcp: RFC 6587 with octet counting; udp: RFC 5426, where what is lost is not noticed
             * @default tls
             * @enum {string}
             */
            transport: "tls" | "tcp" | "udp";
        };
        AuditTargetReplacementInput: {
            /** @description For tls: certificates of the authorities that may have signed the server's (PEM); left out: the public ones */
            caCertificates?: string;
            /**
             * @description For people
             * @default
             */
            description?: string;
            /**
             * @description false: nothing is sent, and the place is kept
             * @default true
             */
            enabled?: boolean;
            /**
             * @description Of the SD-ID steelyard@…; the default is the one for examples (RFC 5612)
             * @default 32473
             */
            enterpriseNumber?: number;
            /**
             * @description Of RFC 5424
             * @default audit
             * @enum {string}
             */
            facility?: "kern" | "user" | "daemon" | "auth" | "syslog" | "authpriv" | "audit" | "alert" | "local0" | "local1" | "local2" | "local3" | "local4" | "local5" | "local6" | "local7";
            /**
             * @description After the structured data. json: the record as it stands in the log, so that its hash can be checked; text: one sentence
             * @default json
             * @enum {string}
             */
            format?: "json" | "text";
            /** @description Of the syslog server */
            host: string;
            /**
             * @description Greatest message the server takes; for udp 2048. A record that is longer goes without its diffs
             * @default 8192
             */
            maxBytes?: number;
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /**
             * @description For tls: SHA-256 of the server's own certificate: these and no others, whoever signed them
             * @default []
             */
            pinnedCertificates?: string[];
            /** @description Left out: 6514 for tls, 601 for tcp, 514 for udp */
            port?: number;
            /** @description For tls: the name in the certificate, where it is not the host */
            serverName?: string;
            /**
             * @description tls: RFC 5425; tcp: RFC 6587 with octet counting; udp: RFC 5426, where what is lost is not noticed
             * @default tls
             * @enum {string}
             */
            transport?: "tls" | "tcp" | "udp";
        };
        AuditTargetStatus: {
            /** @description Why the last try failed; empty while all is well */
            error: string;
            /** @description Records that retention removed before they were sent */
            lost: number;
            /** @description Records still to send; they stand in the log */
            queued: number;
            /** @description Records sent since the agent started, those twice counted twice */
            sent: number;
            /** @description The last record that was sent */
            sequence: number;
            /**
             * @description waiting: for the next try; connected says nothing of a UDP server
             * @enum {string}
             */
            state: "connected" | "connecting" | "waiting" | "disabled";
        };
        BackendReplacementInput: {
            /** @description Address of the server; of the same family as the virtual addresses */
            address: string;
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /** @description Port on the server; left out, the port the client asked for */
            port?: number;
            /**
             * @description 1 is used first; for each backend in use that is not up, the next priority is used as well
             * @default 1
             */
            priority?: number;
            /**
             * @description up: takes connections; maintenance: keeps the ones it has, gets no new one; down: loses them all
             * @default up
             * @enum {string}
             */
            state?: "up" | "maintenance" | "down";
            /**
             * @description Share of new connections, next to the weights of the other backends
             * @default 1
             */
            weight?: number;
        };
        BackupManifest: {
            /** @description SHA-256 of the configuration's files */
            digest: string;
            /** @description Of the backup file */
            format: number;
            /** @description The generation of the configuration that is in it */
            generation: number;
            /** @description How many older generations are in it */
            history: number;
            /** @description Name of the box that made it */
            hostname: string;
            /** @description Certificate and key of the API and host keys of SSH are in it */
            identity: boolean;
            /** @description Network cards of the box that made it */
            nics: components["schemas"]["BackupNic"][];
            /**
             * @description steelyard
             * @constant
             */
            product: "steelyard";
            /** @description Of the configuration in it */
            schemaVersion: number;
            /**
             * Format: date-time
             * @description When it was made
             */
            time: string;
            /** @description Of the appliance that made it */
            version: string;
        };
        BackupNic: {
            /** @description Where the card sits */
            bus?: string;
            /** @description Kernel driver */
            driver?: string;
            /** @description The address the card was made with */
            mac?: string;
            /** @description Name in the kernel */
            name: string;
        };
        BackupSchedule: {
            /**
             * @description Days of the week; none: every day
             * @default []
             */
            days: ("monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | "sunday")[];
            /**
             * @description Make backups by the clock
             * @default false
             */
            enabled: boolean;
            /**
             * @description With the generations of before, to look up
             * @default false
             */
            history: boolean;
            /**
             * @description With the certificate and key of the API and the host keys of SSH
             * @default true
             */
            identity: boolean;
            /**
             * @description How many of them are kept; those made by hand are not counted, and stay
             * @default 7
             */
            keep: number;
            /**
             * @description Public keys of age (age1…) the backup is encrypted for; the secret key of any of them opens it
             * @default []
             */
            recipients: string[];
            /**
             * @description Time of day, in UTC; one that was missed while the box was off is made up for
             * @default 03:00
             */
            time: string;
        };
        BackupScheduleInput: {
            /**
             * @description Days of the week; none: every day
             * @default []
             */
            days?: ("monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | "sunday")[];
            /**
             * @description Make backups by the clock
             * @default false
             */
            enabled?: boolean;
            /**
             * @description With the generations of before, to look up
             * @default false
             */
            history?: boolean;
            /**
             * @description With the certificate and key of the API and the host keys of SSH
             * @default true
             */
            identity?: boolean;
            /**
             * @description How many of them are kept; those made by hand are not counted, and stay
             * @default 7
             */
            keep?: number;
            /**
             * @description Public keys of age (age1…) the backup is encrypted for; the secret key of any of them opens it
             * @default []
             */
            recipients?: string[];
            /**
             * @description Time of day, in UTC; one that was missed while the box was off is made up for
             * @default 03:00
             */
            time?: string;
        };
        BackupWishInput: {
            /**
             * @description With the generations of before, to look up
             * @default false
             */
            history?: boolean;
            /**
             * @description With the certificate and key of the API and the host keys of SSH
             * @default true
             */
            identity?: boolean;
            /** @description Left out: the host name and the time */
            name?: string;
            /** @description Opens the backup, here or with age; it is kept nowhere */
            passphrase?: string;
            /** @description Public keys of age (age1…) the backup is encrypted for; the secret key of any of them opens it */
            recipients?: string[];
        };
        Bindings: {
            /** @description Names of certificates; * stands for any characters */
            certificates?: string[];
            /** @description Names of farms; * stands for any characters */
            farms?: string[];
            /** @description Names of interfaces; * stands for any characters */
            interfaces?: string[];
        };
        BindingsInput: {
            /** @description Names of certificates; * stands for any characters */
            certificates?: string[];
            /** @description Names of farms; * stands for any characters */
            farms?: string[];
            /** @description Names of interfaces; * stands for any characters */
            interfaces?: string[];
        };
        Bond: {
            /**
             * @description Which group of members is used when there are several; 802.3ad
             * @default stable
             * @enum {string}
             */
            aggregatorSelect: "stable" | "bandwidth" | "count";
            /**
             * @description Monitoring by ARP
             * @default {
             *       "interval": 1000,
             *       "targets": [],
             *       "validate": "none",
             *       "allTargets": false
             *     }
             */
            arp: components["schemas"]["ArpMonitoring"];
            /**
             * @description Whether members keep their own MAC addresses; active-backup
             * @default none
             * @enum {string}
             */
            failOverMac: "none" | "active" | "follow";
            /**
             * @description Gratuitous ARPs and unsolicited neighbour advertisements after a failover; active-backup, balance-tlb and balance-alb
             * @default 1
             */
            gratuitousCount: number;
            /**
             * @description The partner sends a LACPDU each 30 s (slow) or each second (fast); 802.3ad
             * @default slow
             * @enum {string}
             */
            lacpRate: "slow" | "fast";
            /** @description Beside members: every card of this machine that fits */
            memberPattern?: components["schemas"]["MemberPattern"];
            /**
             * @description Interfaces that belong to it; they need no settings of their own
             * @default []
             */
            members: string[];
            /**
             * @description Monitoring by carrier
             * @default {
             *       "interval": 100,
             *       "upDelay": 0,
             *       "downDelay": 0
             *     }
             */
            mii: components["schemas"]["MiiMonitoring"];
            /**
             * @description Members that must work before the bond has carrier; 802.3ad
             * @default 0
             */
            minLinks: number;
            /**
             * @description How traffic is shared; active-backup needs nothing of the switch, 802.3ad is LACP
             * @default active-backup
             * @enum {string}
             */
            mode: "balance-rr" | "active-backup" | "balance-xor" | "broadcast" | "802.3ad" | "balance-tlb" | "balance-alb";
            /**
             * @description How it is found out whether a member works: by carrier or by ARP
             * @default mii
             * @enum {string}
             */
            monitor: "mii" | "arp";
            /** @description The member that is preferred; active-backup, balance-tlb and balance-alb */
            primary?: string;
            /**
             * @description When the primary takes over again: always, when it is faster, or when the active member fails
             * @default always
             * @enum {string}
             */
            primaryReselect: "always" | "better" | "failure";
            /**
             * @description What chooses the member a packet leaves by; balance-xor, 802.3ad and balance-tlb
             * @default layer2
             * @enum {string}
             */
            transmitHashPolicy: "layer2" | "layer2+3" | "layer3+4" | "encap2+3" | "encap3+4" | "vlan+srcmac";
        };
        BondInput: {
            /**
             * @description Which group of members is used when there are several; 802.3ad
             * @default stable
             * @enum {string}
             */
            aggregatorSelect?: "stable" | "bandwidth" | "count";
            /**
             * @description Monitoring by ARP
             * @default {
             *       "interval": 1000,
             *       "targets": [],
             *       "validate": "none",
             *       "allTargets": false
             *     }
             */
            arp?: components["schemas"]["ArpMonitoringInput"];
            /**
             * @description Whether members keep their own MAC addresses; active-backup
             * @default none
             * @enum {string}
             */
            failOverMac?: "none" | "active" | "follow";
            /**
             * @description Gratuitous ARPs and unsolicited neighbour advertisements after a failover; active-backup, balance-tlb and balance-alb
             * @default 1
             */
            gratuitousCount?: number;
            /**
             * @description The partner sends a LACPDU each 30 s (slow) or each second (fast); 802.3ad
             * @default slow
             * @enum {string}
             */
            lacpRate?: "slow" | "fast";
            /** @description Beside members: every card of this machine that fits */
            memberPattern?: components["schemas"]["MemberPatternInput"];
            /**
             * @description Interfaces that belong to it; they need no settings of their own
             * @default []
             */
            members?: string[];
            /**
             * @description Monitoring by carrier
             * @default {
             *       "interval": 100,
             *       "upDelay": 0,
             *       "downDelay": 0
             *     }
             */
            mii?: components["schemas"]["MiiMonitoringInput"];
            /**
             * @description Members that must work before the bond has carrier; 802.3ad
             * @default 0
             */
            minLinks?: number;
            /**
             * @description How traffic is shared; active-backup needs nothing of the switch, 802.3ad is LACP
             * @default active-backup
             * @enum {string}
             */
            mode?: "balance-rr" | "active-backup" | "balance-xor" | "broadcast" | "802.3ad" | "balance-tlb" | "balance-alb";
            /**
             * @description How it is found out whether a member works: by carrier or by ARP
             * @default mii
             * @enum {string}
             */
            monitor?: "mii" | "arp";
            /** @description The member that is preferred; active-backup, balance-tlb and balance-alb */
            primary?: string;
            /**
             * @description When the primary takes over again: always, when it is faster, or when the active member fails
             * @default always
             * @enum {string}
             */
            primaryReselect?: "always" | "better" | "failure";
            /**
             * @description What chooses the member a packet leaves by; balance-xor, 802.3ad and balance-tlb
             * @default layer2
             * @enum {string}
             */
            transmitHashPolicy?: "layer2" | "layer2+3" | "layer3+4" | "encap2+3" | "encap3+4" | "vlan+srcmac";
        };
        BondProposal: {
            /** @description Cards, at least two */
            members: string[];
            /**
             * @description 802.3ad when the other end speaks LACP
             * @enum {string}
             */
            mode: "802.3ad" | "active-backup";
            /** @description The first bond name that is free */
            name: string;
            /** @description Why, in words */
            reason: string;
        };
        Bridge: {
            /**
             * @description Interfaces that belong to it; they need no settings of their own
             * @default []
             */
            members: string[];
            /**
             * @description Spanning tree (IEEE 802.1D)
             * @default false
             */
            stp: boolean;
        };
        BridgeInput: {
            /**
             * @description Interfaces that belong to it; they need no settings of their own
             * @default []
             */
            members?: string[];
            /**
             * @description Spanning tree (IEEE 802.1D)
             * @default false
             */
            stp?: boolean;
        };
        Caller: {
            /** @description Of an API key: what its owner may do; both must allow */
            ceiling?: {
                /** @description Only on these objects; * stands for any characters */
                names?: string[];
                /** @description resource:verb; either half may be * */
                permission: string;
            }[];
            /** @description Of a cookie session: for the header X-CSRF-Token */
            csrfToken?: string;
            /** @description Shown to people */
            fullName: string;
            /**
             * @description How the caller proved who it is
             * @enum {string}
             */
            means: "session" | "cookie" | "api-key" | "local";
            /** @description What the caller may do now */
            permissions: {
                /** @description Only on these objects; * stands for any characters */
                names?: string[];
                /** @description resource:verb; either half may be * */
                permission: string;
            }[];
            /** @description Address the request came from, or local */
            source: string;
            /** @description Name of the user */
            user: string;
        };
        Card: {
            /** @description Queues, each with an interrupt of its own */
            channels?: components["schemas"]["CardChannels"];
            /** @description Interrupts for several packets at once */
            coalescing?: components["schemas"]["CardCoalescing"];
            /** @description Work that the card or the lowest layer of the kernel does for all others */
            offloads?: components["schemas"]["CardOffloads"];
            /** @description Packets that wait for the processor or for the wire */
            rings?: components["schemas"]["CardRings"];
        };
        CardChannels: {
            /** @description Pairs of a receive and a transmit queue; max: all of them */
            combined?: number | "max";
            /** @description Receive queues, of cards that count them apart */
            receive?: number | "max";
            /** @description Transmit queues, of cards that count them apart */
            send?: number | "max";
        };
        CardChannelsInput: {
            /** @description Pairs of a receive and a transmit queue; max: all of them */
            combined?: number | "max";
            /** @description Receive queues, of cards that count them apart */
            receive?: number | "max";
            /** @description Transmit queues, of cards that count them apart */
            send?: number | "max";
        };
        CardCoalescing: {
            /** @description The card finds the delay of receive interrupts by itself */
            adaptiveReceive?: boolean;
            /** @description The card finds the delay of transmit interrupts by itself */
            adaptiveSend?: boolean;
            /** @description Packets received before an interrupt */
            receiveFrames?: number;
            /** @description Microseconds from a packet received to its interrupt */
            receiveMicroseconds?: number;
            /** @description Packets sent before an interrupt */
            sendFrames?: number;
            /** @description Microseconds from a packet sent to its interrupt */
            sendMicroseconds?: number;
        };
        CardCoalescingInput: {
            /** @description The card finds the delay of receive interrupts by itself */
            adaptiveReceive?: boolean;
            /** @description The card finds the delay of transmit interrupts by itself */
            adaptiveSend?: boolean;
            /** @description Packets received before an interrupt */
            receiveFrames?: number;
            /** @description Microseconds from a packet received to its interrupt */
            receiveMicroseconds?: number;
            /** @description Packets sent before an interrupt */
            sendFrames?: number;
            /** @description Microseconds from a packet sent to its interrupt */
            sendMicroseconds?: number;
        };
        CardInput: {
            /** @description Queues, each with an interrupt of its own */
            channels?: components["schemas"]["CardChannelsInput"];
            /** @description Interrupts for several packets at once */
            coalescing?: components["schemas"]["CardCoalescingInput"];
            /** @description Work that the card or the lowest layer of the kernel does for all others */
            offloads?: components["schemas"]["CardOffloadsInput"];
            /** @description Packets that wait for the processor or for the wire */
            rings?: components["schemas"]["CardRingsInput"];
        };
        CardOffloads: {
            /** @description The kernel joins segments of a connection as early as it can (GRO) */
            genericReceive?: boolean;
            /** @description The card joins them (GRO in hardware) */
            genericReceiveHardware?: boolean;
            /** @description The kernel cuts large segments as late as it can (GSO) */
            genericSegmentation?: boolean;
            /** @description The card checks checksums */
            receiveChecksum?: boolean;
            /** @description The card takes VLAN tags off */
            receiveVlan?: boolean;
            /** @description The card collects a packet from several places of memory */
            scatterGather?: boolean;
            /** @description The card fills in checksums */
            sendChecksum?: boolean;
            /** @description The card puts VLAN tags on */
            sendVlan?: boolean;
            /** @description The card cuts large TCP segments (TSO) */
            tcpSegmentation?: boolean;
        };
        CardOffloadsInput: {
            /** @description The kernel joins segments of a connection as early as it can (GRO) */
            genericReceive?: boolean;
            /** @description The card joins them (GRO in hardware) */
            genericReceiveHardware?: boolean;
            /** @description The kernel cuts large segments as late as it can (GSO) */
            genericSegmentation?: boolean;
            /** @description The card checks checksums */
            receiveChecksum?: boolean;
            /** @description The card takes VLAN tags off */
            receiveVlan?: boolean;
            /** @description The card collects a packet from several places of memory */
            scatterGather?: boolean;
            /** @description The card fills in checksums */
            sendChecksum?: boolean;
            /** @description The card puts VLAN tags on */
            sendVlan?: boolean;
            /** @description The card cuts large TCP segments (TSO) */
            tcpSegmentation?: boolean;
        };
        CardRings: {
            /** @description Receive descriptors of each queue; max: all it can have */
            receive?: number | "max";
            /** @description Transmit descriptors of each queue; max: all it can have */
            send?: number | "max";
        };
        CardRingsInput: {
            /** @description Receive descriptors of each queue; max: all it can have */
            receive?: number | "max";
            /** @description Transmit descriptors of each queue; max: all it can have */
            send?: number | "max";
        };
        CertificateInput: {
            /** @description PEM: the server's certificate, then each authority that signed the one before; none while a request awaits its answer */
            certificate?: string;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /** @description PEM, without a passphrase: RSA of 2048 bits or more, ECDSA (P-256, P-384, P-521) or Ed25519 */
            key: string;
            /** @description PEM (PKCS #10), for keys made on the box: what the authority signs */
            request?: string;
        };
        CertificateReplacementInput: {
            /** @description PEM: the server's certificate, then each authority that signed the one before; none while a request awaits its answer */
            certificate?: string;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /** @description PEM, without a passphrase; left out when replacing: stays */
            key?: string;
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /** @description PEM (PKCS #10), for keys made on the box: what the authority signs */
            request?: string;
        };
        CertificateRequestInput: {
            /** @description Of the organization */
            country?: string;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description Kind of the new key
             * @default ecdsa-p256
             * @enum {string}
             */
            keyType?: "ecdsa-p256" | "ecdsa-p384" | "rsa-2048" | "rsa-3072" | "rsa-4096" | "ed25519";
            /** @description Host names and addresses the certificate is for; the first is its common name */
            names: (string)[];
            /** @description Who runs the box */
            organization?: string;
        };
        CertificateStatus: {
            /** @description Whole days until it expires; below 0 once it has */
            daysLeft?: number;
            /** @description SHA-256, AB:CD:… */
            fingerprint?: string;
            /** @description Who signed it */
            issuer?: string;
            /** @description Kind of key, such as ECDSA P-256 */
            key?: string;
            /** @description Of the certificate */
            name: string;
            /** @description Host names and addresses it is for */
            names?: string[];
            /**
             * Format: date-time
             * @description Valid until
             */
            notAfter?: string;
            /**
             * Format: date-time
             * @description Valid from
             */
            notBefore?: string;
            /** @description No authority vouches for it */
            selfSigned?: boolean;
            /** @description How it is signed, such as ECDSA with SHA-256 */
            signature?: string;
            /**
             * @description expiring: in less than 30 days, or a third of its time; requested: its authority has not answered yet
             * @enum {string}
             */
            state: "valid" | "expiring" | "expired" | "not-yet-valid" | "requested";
            /** @description Whom it names */
            subject?: string;
            /** @description What has a use for it, by its path in the configuration */
            uses: string[];
        };
        ClockStatus: {
            /** @description Seconds the clock is ahead of true time, as estimated */
            offset?: number;
            /** @description Each server */
            sources: {
                /** @description Of the last eight questions, how many it answered */
                answered: number;
                /** @description Its answers are authenticated by NTS */
                nts: boolean;
                /** @description Seconds the box was ahead of it when last measured */
                offset: number;
                /** @description As configured */
                server: string;
                /**
                 * @description What chrony makes of it; falseticker: the others agree against it
                 * @enum {string}
                 */
                state: "selected" | "combined" | "not-combined" | "unreachable" | "falseticker" | "unstable";
                /** @description Its own; 0 until it has answered */
                stratum: number;
            }[];
            /** @description Steps to a reference clock */
            stratum?: number;
            /** @description The clock follows its servers */
            synchronized: boolean;
        };
        /** @description Every object, secrets hidden */
        Configuration: {
            /** @description How long a login lasts */
            access?: components["schemas"]["AccessSettings"];
            /** @description By id; secret fields are hidden */
            apiKeys: {
                [key: string]: {
                    [key: string]: unknown;
                };
            };
            /** @description By name */
            auditTargets: {
                [key: string]: components["schemas"]["AuditTarget"];
            };
            /** @description Backups the box makes by itself */
            backups?: components["schemas"]["BackupSchedule"];
            /** @description By name; keys are hidden */
            certificates: {
                [key: string]: {
                    [key: string]: unknown;
                };
            };
            /** @description By name; secret fields are hidden */
            directories: {
                [key: string]: {
                    [key: string]: unknown;
                };
            };
            /** @description By name */
            farms: {
                [key: string]: components["schemas"]["L4Farm"];
            };
            /** @description By name */
            groups: {
                [key: string]: components["schemas"]["Group"];
            };
            /** @description By name */
            interfaces: {
                [key: string]: components["schemas"]["Interface"];
            };
            /** @description By name; those that are built in are not among them */
            roles: {
                [key: string]: components["schemas"]["Role"];
            };
            /** @description By name */
            routingRoutes: {
                [key: string]: components["schemas"]["RoutingRoute"];
            };
            /** @description By name */
            routingRules: {
                [key: string]: components["schemas"]["RoutingRule"];
            };
            /** @description By name */
            routingTables: {
                [key: string]: components["schemas"]["RoutingTable"];
            };
            /** @description The box itself */
            system?: components["schemas"]["System"];
            /** @description By name */
            uplinkFarms: {
                [key: string]: components["schemas"]["UplinkFarm"];
            };
            /** @description By name; secret fields are hidden */
            users: {
                [key: string]: {
                    [key: string]: unknown;
                };
            };
            /** @description By name */
            virtualAddresses: {
                [key: string]: components["schemas"]["VirtualAddress"];
            };
        };
        CredentialsInput: {
            /**
             * @description true: a cookie for a browser instead of a token; every change then needs the header X-CSRF-Token
             * @default false
             */
            cookie?: boolean;
            /** @description In clear; the connection is encrypted */
            password: string;
            /** @description Name of the user */
            user: string;
        };
        Difference: {
            /**
             * @description What became of it
             * @enum {string}
             */
            change: "added" | "removed" | "changed";
            /** @description Such as farms/web */
            object: string;
            /** @description Unified diff of its YAML */
            text: string;
        };
        DirectoryCredentialsInput: {
            /** @description Used for this test and kept nowhere */
            password: string;
            /** @description Who */
            user: string;
        };
        DirectoryReplacementInput: {
            /**
             * @description true: ldap:// without TLS; passwords then cross the network in clear
             * @default false
             */
            allowUnencrypted?: boolean;
            /** @description Where users are searched for, and all below */
            baseDn: string;
            /** @description Account that searches; left out with no userTemplate: anonymous */
            bindDn?: string;
            /** @description Left out when replacing: stays; null: none */
            bindPassword?: string | null;
            /** @description Certificates of the authorities that may have signed the servers' (PEM); left out: the public ones */
            caCertificates?: string;
            /**
             * @description Held by everybody whom the directory knows
             * @default []
             */
            defaultRoles?: string[];
            /**
             * @description For people
             * @default
             */
            description?: string;
            /**
             * @description false: nobody logs in by it, and its sessions end
             * @default true
             */
            enabled?: boolean;
            /**
             * @description Sessions outlive a directory that does not answer for this time beyond recheckMinutes
             * @default 60
             */
            graceMinutes?: number;
            /** @description Where groups are searched for; left out: baseDn */
            groupBaseDn?: string;
            /**
             * @description For search: {dn} stands for the DN of the user, {user} for the name, both escaped
             * @default (|(member={dn})(uniqueMember={dn})(memberUid={user}))
             */
            groupFilter?: string;
            /**
             * @description memberOf: the attribute of the user; search: groups that name the user, by groupFilter; active-directory: nested ones too, by the matching rule 1.2.840.113556.1.4.1941
             * @default memberOf
             * @enum {string}
             */
            groupLookup?: "memberOf" | "search" | "active-directory";
            /**
             * @description Which group holds which roles; who holds none is refused
             * @default []
             */
            groupRoles?: components["schemas"]["GroupRolesInput"][];
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /**
             * @description For memberOf and search: groups of groups count too, up to 8 deep
             * @default false
             */
            nestedGroups?: boolean;
            /**
             * @description Directories are asked from the lowest number on, then by name
             * @default 100
             */
            order?: number;
            /**
             * @description SHA-256 of the servers' own certificates: these and no others, whoever signed them
             * @default []
             */
            pinnedCertificates?: string[];
            /**
             * @description Roles of open sessions are looked up anew after this time
             * @default 5
             */
            recheckMinutes?: number;
            /** @description The name that the servers' certificates have, where it is not that of the address */
            serverName?: string;
            /** @description Asked in this order until one answers. ldaps:// is TLS from the first byte; ldap:// begins TLS with StartTLS */
            servers: string[];
            /**
             * @description For connecting with TLS, and for each answer
             * @default 5
             */
            timeoutSeconds?: number;
            /**
             * @description RFC 4515; {user} stands for the name, escaped. Active Directory: (sAMAccountName={user})
             * @default (uid={user})
             */
            userFilter?: string;
            /** @description Users bind themselves by this name, such as uid={user},ou=people,dc=example,dc=com, before they are searched for */
            userTemplate?: string;
        };
        DirectoryTest: {
            /** @description This user could log in with this password */
            accepted: boolean;
            /** @description In words */
            reason: string;
            /** @description That the directory gives */
            roles: string[];
            /** @description In order; after a server that does not answer, those of the next */
            steps: {
                /** @description What came of it */
                detail: string;
                /** @description Whether it went well */
                ok: boolean;
                /** @description With which server */
                server: string;
                /**
                 * @description What was done
                 * @enum {string}
                 */
                step: "connect" | "tls" | "bind" | "search" | "password" | "groups" | "roles";
            }[];
        };
        FactoryResetBegun: {
            /** @description What stays */
            keep: ("logs" | "backups")[];
            /** @description What happens now */
            message: string;
        };
        FactoryResetInput: {
            /** @description Host name of the box, to show that it is this one that is meant */
            hostname: string;
            /**
             * @description What stays on /data: logs (journal and audit log), backups; all else goes
             * @default []
             */
            keep?: ("logs" | "backups")[];
        };
        FarmReplacementInput: {
            /**
             * @description How a new connection is given a backend
             * @default weight
             * @enum {string}
             */
            algorithm?: "weight" | "round-robin" | "hash-source-address" | "hash-source-address-port";
            /**
             * @description Backends by name
             * @default {}
             */
            backends?: {
                [key: string]: components["schemas"]["L4BackendInput"];
            };
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description A farm that is not enabled opens no port
             * @default true
             */
            enabled?: boolean;
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /**
             * @description nat: backends see the box's address; dnat: they see the client's, and must route back through the box
             * @default nat
             * @enum {string}
             */
            natType?: "nat" | "dnat";
            /** @description Ports and ranges of ports clients connect to */
            ports: (number | string)[];
            /**
             * @description Kind of farm
             * @constant
             */
            profile: "l4xnat";
            /**
             * @description Protocol of layer 4
             * @default tcp
             * @enum {string}
             */
            protocol?: "tcp" | "udp";
            /** @description Addresses clients connect to, all of one family; the box must own them */
            virtualAddresses: string[];
        };
        FarmStatus: {
            /** @description Each backend, in the order of the configuration */
            backends: {
                /** @description Address of the server */
                address: string;
                /** @description Connections to it now; of tcp, the established ones */
                connections: number;
                /**
                 * @description What the kernel does. up: takes new connections; standby: waits for its priority's turn; maintenance: keeps the connections it has; down: has no rule; disabled: of a farm that is not enabled
                 * @enum {string}
                 */
                effective: "up" | "standby" | "maintenance" | "down" | "disabled";
                /** @description The backend */
                name: string;
                /** @description Left out: the port the client asked for */
                port?: number;
                /**
                 * @description What the operator set
                 * @enum {string}
                 */
                state: "up" | "maintenance" | "down";
            }[];
            /** @description The farm */
            name: string;
            /**
             * @description up: at least one backend takes new connections
             * @enum {string}
             */
            state: "up" | "down" | "disabled";
        };
        FirstBootAnswersInput: {
            /** @description How the administrator logs in */
            admin: {
                /** @description In clear; only its hash is kept */
                password?: string;
                /** @description Instead of password: crypt(5) of the kind $7$, from mkpasswd -m scrypt */
                passwordHash?: string;
                /**
                 * @description OpenSSH public keys, one line each
                 * @default []
                 */
                sshKeys?: string[];
            };
            /**
             * @description Certificates and their keys by name
             * @default {}
             */
            certificates?: {
                [key: string]: components["schemas"]["CertificateInput"];
            };
            /**
             * @description Farms by name
             * @default {}
             */
            farms?: {
                [key: string]: components["schemas"]["L4FarmInput"];
            };
            /**
             * @description Network interfaces by name
             * @default {}
             */
            interfaces?: {
                [key: string]: components["schemas"]["InterfaceInput"];
            };
            /**
             * @description The box itself
             * @default {
             *       "hostname": "steelyard",
             *       "dns": {
             *         "servers": [],
             *         "search": [],
             *         "dnssec": "no",
             *         "overTls": "no"
             *       },
             *       "ntp": {
             *         "servers": []
             *       },
             *       "timeZone": "UTC",
             *       "hosts": [],
             *       "proxy": {
             *         "bypass": []
             *       },
             *       "management": {
             *         "interfaces": [],
             *         "port": 444
             *       },
             *       "lldp": "receive",
             *       "unconfiguredCards": "down",
             *       "console": {
             *         "passwordReset": true
             *       },
             *       "ssh": {
             *         "enabled": false,
             *         "port": 22,
             *         "passwordAuthentication": false
             *       }
             *     }
             */
            system?: components["schemas"]["SystemInput"];
            /**
             * @description Of the format
             * @constant
             */
            version: 1;
            /**
             * @description Virtual addresses by name
             * @default {}
             */
            virtualAddresses?: {
                [key: string]: components["schemas"]["VirtualAddressInput"];
            };
        };
        FirstBootReport: {
            /** @description Names of what was made */
            applied?: {
                /** @description How the administrator logs in; no secret is among it */
                admin: string[];
                /** @description Farms that were made */
                farms: string[];
                /** @description Name of the box */
                hostname: string;
                /** @description Interfaces that were configured */
                interfaces: string[];
                /** @description Where the box is managed */
                managementInterfaces: string[];
                /** @description Virtual addresses that were made */
                virtualAddresses: string[];
            };
            /** @description What was made of it */
            generation?: number;
            /**
             * @description refused: nothing was configured
             * @enum {string}
             */
            outcome: "applied" | "refused";
            /** @description Why it was refused */
            problems: {
                /** @description Of the file, from 1 */
                line?: number;
                /** @description What is expected */
                message: string;
                /** @description Of the field */
                path: string;
            }[];
            /** @description Of the file as it was read; none for answers from the console */
            sha256?: string;
            /** @description Where the answers came from */
            source: string;
            /** @description RFC 3339, UTC */
            time: string;
            /** @description What was odd and accepted */
            warnings: {
                /** @description What is expected */
                message: string;
                /** @description Of the field */
                path: string;
            }[];
        };
        FirstBootResult: {
            /** @description The first generation */
            generation: number;
            /** @description When the answers have to be confirmed */
            pending?: components["schemas"]["PendingCommit"];
            /** @description What is allowed, and perhaps not meant */
            warnings: {
                /** @description What is expected */
                message: string;
                /** @description The field, from the root of the configuration: farms.web.backends.b1.port */
                path: string;
            }[];
        };
        Generation: {
            /** @description The user who made it */
            author: string;
            /** @description false: a newer system wrote it, and this one can neither read nor restore it */
            compatible: boolean;
            /** @description Its number; they are counted up */
            generation: number;
            /** @description What was done */
            message: string;
            /** @description The generation it was made from; 0 for the first */
            parent: number;
            /** @description Of the format its objects are kept in */
            schemaVersion: number;
            /** @description Address of the client, or local, console, answer-file, boot */
            source: string;
            /**
             * Format: date-time
             * @description When it was made, UTC
             */
            time: string;
        };
        Group: {
            /**
             * @description For people
             * @default
             */
            description: string;
            /**
             * @description Held by every member
             * @default []
             */
            roles: string[];
        };
        GroupReplacementInput: {
            /**
             * @description For people
             * @default
             */
            description?: string;
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /**
             * @description Held by every member
             * @default []
             */
            roles?: string[];
        };
        GroupRoles: {
            /** @description DN of the group */
            group: string;
            /** @description Held by its members */
            roles: string[];
        };
        GroupRolesInput: {
            /** @description DN of the group */
            group: string;
            /** @description Held by its members */
            roles: string[];
        };
        HostsEntry: {
            /** @description What the names stand for */
            address: string;
            /** @description The first one is the canonical name */
            names: string[];
        };
        HostsEntryInput: {
            /** @description What the names stand for */
            address: string;
            /** @description The first one is the canonical name */
            names: string[];
        };
        ImportItem: {
            /** @description What it holds, to set it up by hand */
            content?: {
                [key: string]: unknown;
            };
            /** @description Such as interface, virtual interface, l4xnat farm, certificate */
            kind: string;
            /** @description The subsystem that will be able to take it */
            later?: string;
            /** @description Its name in the backup */
            name: string;
            /** @description What is to be said about it */
            notes: string[];
            /**
             * @description changed: taken, but not as it was; the notes say what and why
             * @enum {string}
             */
            result: "taken" | "changed" | "not-supported";
            /** @description The file it was found in */
            source: string;
            /** @description Where it stands now: farms.web */
            target?: string;
        };
        ImportResult: {
            /** @description False: nothing was changed */
            committed: boolean;
            /** @description What changes, object by object */
            differences: components["schemas"]["Difference"][];
            /** @description What is done to the machine */
            plan: components["schemas"]["Plan"];
            /** @description zevenet or skudonet */
            product: string;
            /** @description One item for everything that was found */
            report: components["schemas"]["ImportItem"][];
            /** @description How many items have which result */
            summary: {
                /** @description Items that were taken, but not as they were */
                changed: number;
                /** @description Items that were not taken */
                notSupported: number;
                /** @description Items that mean the same here */
                taken: number;
            };
            /** @description Of the product, when the backup says */
            version?: string;
        };
        Interface: {
            /**
             * @description A name for people, which the kernel keeps with the interface (ifAlias)
             * @default
             */
            alias: string;
            /** @description Of kind bond */
            bond?: components["schemas"]["Bond"];
            /** @description Of kind bridge */
            bridge?: components["schemas"]["Bridge"];
            /** @description Of kind ethernet: rings, queues, interrupts and offloads of the card */
            card?: components["schemas"]["Card"];
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /**
             * @description Administratively up
             * @default true
             */
            enabled: boolean;
            /**
             * @description IPv4 on this interface
             * @default {
             *       "method": "none",
             *       "addresses": []
             *     }
             */
            ipv4: components["schemas"]["Ipv4Settings"];
            /**
             * @description IPv6 on this interface
             * @default {
             *       "method": "none",
             *       "addresses": []
             *     }
             */
            ipv6: components["schemas"]["Ipv6Settings"];
            /**
             * @description ethernet: a network card; the others are made by the box
             * @default ethernet
             * @enum {string}
             */
            kind: "ethernet" | "bond" | "vlan" | "bridge" | "dummy" | "vrf";
            /** @description Bytes; left out, the driver's own */
            mtu?: number;
            /** @description Of kind vlan */
            vlan?: components["schemas"]["Vlan"];
            /** @description Of kind vrf */
            vrf?: components["schemas"]["Vrf"];
        };
        InterfaceInput: {
            /**
             * @description A name for people, which the kernel keeps with the interface (ifAlias)
             * @default
             */
            alias?: string;
            /** @description Of kind bond */
            bond?: components["schemas"]["BondInput"];
            /** @description Of kind bridge */
            bridge?: components["schemas"]["BridgeInput"];
            /** @description Of kind ethernet: rings, queues, interrupts and offloads of the card */
            card?: components["schemas"]["CardInput"];
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description Administratively up
             * @default true
             */
            enabled?: boolean;
            /**
             * @description IPv4 on this interface
             * @default {
             *       "method": "none",
             *       "addresses": []
             *     }
             */
            ipv4?: components["schemas"]["Ipv4SettingsInput"];
            /**
             * @description IPv6 on this interface
             * @default {
             *       "method": "none",
             *       "addresses": []
             *     }
             */
            ipv6?: components["schemas"]["Ipv6SettingsInput"];
            /**
             * @description ethernet: a network card; the others are made by the box
             * @default ethernet
             * @enum {string}
             */
            kind?: "ethernet" | "bond" | "vlan" | "bridge" | "dummy" | "vrf";
            /** @description Bytes; left out, the driver's own */
            mtu?: number;
            /** @description Of kind vlan */
            vlan?: components["schemas"]["VlanInput"];
            /** @description Of kind vrf */
            vrf?: components["schemas"]["VrfInput"];
        };
        InterfaceReplacementInput: {
            /**
             * @description A name for people, which the kernel keeps with the interface (ifAlias)
             * @default
             */
            alias?: string;
            /** @description Of kind bond */
            bond?: components["schemas"]["BondInput"];
            /** @description Of kind bridge */
            bridge?: components["schemas"]["BridgeInput"];
            /** @description Of kind ethernet: rings, queues, interrupts and offloads of the card */
            card?: components["schemas"]["CardInput"];
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description Administratively up
             * @default true
             */
            enabled?: boolean;
            /**
             * @description IPv4 on this interface
             * @default {
             *       "method": "none",
             *       "addresses": []
             *     }
             */
            ipv4?: components["schemas"]["Ipv4SettingsInput"];
            /**
             * @description IPv6 on this interface
             * @default {
             *       "method": "none",
             *       "addresses": []
             *     }
             */
            ipv6?: components["schemas"]["Ipv6SettingsInput"];
            /**
             * @description ethernet: a network card; the others are made by the box
             * @default ethernet
             * @enum {string}
             */
            kind?: "ethernet" | "bond" | "vlan" | "bridge" | "dummy" | "vrf";
            /** @description Bytes; left out, the driver's own */
            mtu?: number;
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /** @description Of kind vlan */
            vlan?: components["schemas"]["VlanInput"];
            /** @description Of kind vrf */
            vrf?: components["schemas"]["VrfInput"];
        };
        InterfaceStatus: {
            /** @description With prefix length; link-local ones included */
            addresses: string[];
            /** @description Names it also answers to, such as enp3s0f0 */
            alternativeNames: string[];
            /** @description What the name is bound to; a link without one is no card */
            binding?: {
                /**
                 * @description mac: to the card, wherever it sits; path: to what sits there
                 * @enum {string}
                 */
                by: "mac" | "path";
                /** @description Permanent MAC */
                mac?: string;
                /** @description Place, as udev spells it */
                path?: string;
            };
            /** @description Of a bond */
            bond?: {
                /** @description The member that carries the traffic, in modes that use one */
                active?: string;
                /** @description The members */
                members: {
                    /** @description The group that LACP has put it into */
                    aggregator?: number;
                    /** @description How often its link was lost since it is a member */
                    failures: number;
                    /** @description up, going-down, down or going-up */
                    link: string;
                    /** @description Name of the interface */
                    name: string;
                    /**
                     * @description Whether it is used
                     * @enum {string}
                     */
                    state: "active" | "backup";
                }[];
                /** @description As in the configuration */
                mode: string;
                /** @description The other end; 802.3ad */
                partner?: {
                    /** @description Its system; none when it sends no LACPDU */
                    mac?: string;
                    /** @description Links in the group that is used */
                    ports: number;
                };
            };
            /** @description Where the card sits: 0000:00:03.0 for PCI */
            bus?: string;
            /** @description Of a missing card: those that may be in its place */
            candidates?: {
                /** @description Name the card has now */
                name: string;
                /**
                 * @description replaced: it sits in the slot; same-mac: it has the MAC, but so has another one
                 * @enum {string}
                 */
                reason: "replaced" | "same-mac";
            }[];
            /** @description The other end answers */
            carrier: boolean;
            /** @description Counters of the kernel, of 64 bits */
            counters: {
                /** @description Since the link was made */
                receivedBytes: number;
                /** @description Since the link was made */
                receivedDropped: number;
                /** @description Since the link was made */
                receivedErrors: number;
                /** @description Since the link was made */
                receivedPackets: number;
                /** @description Since the link was made */
                sentBytes: number;
                /** @description Since the link was made */
                sentDropped: number;
                /** @description Since the link was made */
                sentErrors: number;
                /** @description Since the link was made */
                sentPackets: number;
            };
            /** @description Kernel driver; for a virtual link its kind */
            driver?: string;
            /**
             * @description Whether both sides may send at once
             * @enum {string}
             */
            duplex?: "full" | "half";
            /** @description Version of the card's firmware */
            firmware?: string;
            /** @description Default gateways reached through it */
            gateways: string[];
            /** @description Of a virtual link: bond, vlan, … */
            kind?: string;
            /** @description Hardware address in use */
            mac?: string;
            /** @description Bond, bridge or VRF it belongs to */
            master?: string;
            /** @description Bytes; the most the driver takes */
            maxMtu?: number;
            /** @description Bytes; the least the driver takes */
            minMtu?: number;
            /** @description Bytes */
            mtu?: number;
            /** @description Name in the kernel */
            name: string;
            /** @description Who is at the other end, by its own words (LLDP) */
            neighbour?: {
                /** @description What the switch is known by */
                chassis: string;
                /** @description The switch's port */
                port: string;
                /** @description What the switch calls the port */
                portDescription?: string;
                /** @description Name of the switch */
                system?: string;
                /** @description What the switch is */
                systemDescription?: string;
            };
            /** @description The address the card was made with */
            permanentMac?: string;
            /** @description Hardware profiles whose images have the driver */
            profiles?: string[];
            /** @description Queues in use */
            queues?: {
                /** @description Receive queues */
                receive: number;
                /** @description Transmit queues */
                send: number;
            };
            /** @description Rings, queues, interrupts and offloads of a card, as far as its driver tells */
            settings?: {
                /** @description The card has it one way only */
                fixed: boolean;
                /** @description The greatest number that the card takes */
                most?: number;
                /** @description As the card has it */
                now: number | boolean;
                /** @description Why the card does not have it so */
                refused?: string;
                /**
                 * @description Field of card of an interface
                 * @enum {string}
                 */
                setting: "channels.receive" | "channels.send" | "channels.combined" | "rings.receive" | "rings.send" | "coalescing.receiveMicroseconds" | "coalescing.receiveFrames" | "coalescing.sendMicroseconds" | "coalescing.sendFrames" | "coalescing.adaptiveReceive" | "coalescing.adaptiveSend" | "offloads.receiveChecksum" | "offloads.sendChecksum" | "offloads.scatterGather" | "offloads.tcpSegmentation" | "offloads.genericSegmentation" | "offloads.genericReceive" | "offloads.genericReceiveHardware" | "offloads.receiveVlan" | "offloads.sendVlan";
                /** @description What the card was told */
                wanted?: number | boolean | "max";
            }[];
            /** @description Mbit/s */
            speed?: number;
            /**
             * @description down: administratively off; no-carrier: on, but no link; up: working; missing: the card is not there
             * @enum {string}
             */
            state: "up" | "no-carrier" | "down" | "missing";
            /** @description Name of the card this is a virtual function of */
            virtualFunctionOf?: string;
            /** @description Of a card with SR-IOV */
            virtualFunctions?: {
                /** @description That are on */
                active: number;
                /** @description That the card can have */
                greatest: number;
            };
            /** @description Of a VRF */
            vrf?: {
                /** @description Interfaces that are kept apart */
                members: string[];
                /** @description Number of its routing table */
                table?: number;
            };
        };
        Ipv4Settings: {
            /**
             * @description For method static; the first of a network is the source of what the box sends there
             * @default []
             */
            addresses: string[];
            /** @description Left out: true. false: the gateway serves answers to what came in by this interface, and is not the box's default gateway */
            defaultRoute?: boolean;
            /** @description Default gateway reached through this interface */
            gateway?: string;
            /**
             * @description Where the addresses come from
             * @default none
             * @enum {string}
             */
            method: "none" | "dhcp" | "static";
        };
        Ipv4SettingsInput: {
            /**
             * @description For method static; the first of a network is the source of what the box sends there
             * @default []
             */
            addresses?: string[];
            /** @description Left out: true. false: the gateway serves answers to what came in by this interface, and is not the box's default gateway */
            defaultRoute?: boolean;
            /** @description Default gateway reached through this interface */
            gateway?: string;
            /**
             * @description Where the addresses come from
             * @default none
             * @enum {string}
             */
            method?: "none" | "dhcp" | "static";
        };
        /** @description The gateway comes with router advertisements, unless the method is static */
        Ipv6Settings: {
            /**
             * @description For method static; the first of a network is the source of what the box sends there
             * @default []
             */
            addresses: string[];
            /** @description Left out: true. false: the gateway serves answers to what came in by this interface, and is not the box's default gateway */
            defaultRoute?: boolean;
            /** @description Default gateway reached through this interface */
            gateway?: string;
            /**
             * @description Where the addresses come from; automatic: router advertisements and DHCPv6; slaac, dhcp: one of them
             * @default none
             * @enum {string}
             */
            method: "none" | "automatic" | "slaac" | "dhcp" | "static";
        };
        /** @description The gateway comes with router advertisements, unless the method is static */
        Ipv6SettingsInput: {
            /**
             * @description For method static; the first of a network is the source of what the box sends there
             * @default []
             */
            addresses?: string[];
            /** @description Left out: true. false: the gateway serves answers to what came in by this interface, and is not the box's default gateway */
            defaultRoute?: boolean;
            /** @description Default gateway reached through this interface */
            gateway?: string;
            /**
             * @description Where the addresses come from; automatic: router advertisements and DHCPv6; slaac, dhcp: one of them
             * @default none
             * @enum {string}
             */
            method?: "none" | "automatic" | "slaac" | "dhcp" | "static";
        };
        Job: {
            /**
             * Format: date-time
             * @description When it was asked for
             */
            created: string;
            /**
             * Format: date-time
             * @description When it ended, in whatever way
             */
            ended?: string;
            /** @description Id of the job */
            id: string;
            /** @description Stable name of the kind of job, such as backup */
            kind: string;
            /** @description User who started it; agent for what the box does by itself */
            owner: string;
            /** @description Why it did not end well */
            problem?: {
                /** @description Code of the error, as in other answers */
                code: string;
                /** @description What went wrong */
                detail: string;
                /** @description Fields that are to blame, when there are any */
                problems: {
                    /** @description What is wrong */
                    message: string;
                    /** @description The field */
                    path: string;
                }[];
            };
            /** @description How far it is */
            progress: {
                /** @description How much of the total is done */
                done: number;
                /** @description What it is at */
                step: string;
                /** @description 0: nobody knows yet */
                total: number;
            };
            /** @description What it made, when it is done */
            result?: {
                [key: string]: unknown;
            };
            /** @description Address of the client, local, or timer */
            source: string;
            /**
             * Format: date-time
             * @description When its turn came
             */
            started?: string;
            /**
             * @description interrupted: the agent or the box was restarted before the job ended, and it does not go on
             * @enum {string}
             */
            state: "queued" | "running" | "done" | "failed" | "cancelled" | "interrupted";
            /** @description What it does, in words */
            title: string;
        };
        JobLine: {
            /** @description The line */
            text: string;
            /**
             * Format: date-time
             * @description When it was written
             */
            time: string;
        };
        L4Backend: {
            /** @description Address of the server; of the same family as the virtual addresses */
            address: string;
            /** @description Port on the server; left out, the port the client asked for */
            port?: number;
            /**
             * @description 1 is used first; for each backend in use that is not up, the next priority is used as well
             * @default 1
             */
            priority: number;
            /**
             * @description up: takes connections; maintenance: keeps the ones it has, gets no new one; down: loses them all
             * @default up
             * @enum {string}
             */
            state: "up" | "maintenance" | "down";
            /**
             * @description Share of new connections, next to the weights of the other backends
             * @default 1
             */
            weight: number;
        };
        L4BackendInput: {
            /** @description Address of the server; of the same family as the virtual addresses */
            address: string;
            /** @description Port on the server; left out, the port the client asked for */
            port?: number;
            /**
             * @description 1 is used first; for each backend in use that is not up, the next priority is used as well
             * @default 1
             */
            priority?: number;
            /**
             * @description up: takes connections; maintenance: keeps the ones it has, gets no new one; down: loses them all
             * @default up
             * @enum {string}
             */
            state?: "up" | "maintenance" | "down";
            /**
             * @description Share of new connections, next to the weights of the other backends
             * @default 1
             */
            weight?: number;
        };
        L4Farm: {
            /**
             * @description How a new connection is given a backend
             * @default weight
             * @enum {string}
             */
            algorithm: "weight" | "round-robin" | "hash-source-address" | "hash-source-address-port";
            /**
             * @description Backends by name
             * @default {}
             */
            backends: {
                [key: string]: components["schemas"]["L4Backend"];
            };
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /**
             * @description A farm that is not enabled opens no port
             * @default true
             */
            enabled: boolean;
            /**
             * @description nat: backends see the box's address; dnat: they see the client's, and must route back through the box
             * @default nat
             * @enum {string}
             */
            natType: "nat" | "dnat";
            /** @description Ports and ranges of ports clients connect to */
            ports: string[];
            /**
             * @description Kind of farm
             * @constant
             */
            profile: "l4xnat";
            /**
             * @description Protocol of layer 4
             * @default tcp
             * @enum {string}
             */
            protocol: "tcp" | "udp";
            /** @description Addresses clients connect to, all of one family; the box must own them */
            virtualAddresses: string[];
        };
        L4FarmInput: {
            /**
             * @description How a new connection is given a backend
             * @default weight
             * @enum {string}
             */
            algorithm?: "weight" | "round-robin" | "hash-source-address" | "hash-source-address-port";
            /**
             * @description Backends by name
             * @default {}
             */
            backends?: {
                [key: string]: components["schemas"]["L4BackendInput"];
            };
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description A farm that is not enabled opens no port
             * @default true
             */
            enabled?: boolean;
            /**
             * @description nat: backends see the box's address; dnat: they see the client's, and must route back through the box
             * @default nat
             * @enum {string}
             */
            natType?: "nat" | "dnat";
            /** @description Ports and ranges of ports clients connect to */
            ports: (number | string)[];
            /**
             * @description Kind of farm
             * @constant
             */
            profile: "l4xnat";
            /**
             * @description Protocol of layer 4
             * @default tcp
             * @enum {string}
             */
            protocol?: "tcp" | "udp";
            /** @description Addresses clients connect to, all of one family; the box must own them */
            virtualAddresses: string[];
        };
        Link: {
            /** @description With prefix length; link-local ones included */
            addresses: string[];
            /** @description Names it also answers to, such as enp3s0f0 */
            alternativeNames: string[];
            /** @description What the name is bound to; a link without one is no card */
            binding?: {
                /**
                 * @description mac: to the card, wherever it sits; path: to what sits there
                 * @enum {string}
                 */
                by: "mac" | "path";
                /** @description Permanent MAC */
                mac?: string;
                /** @description Place, as udev spells it */
                path?: string;
            };
            /** @description Where the card sits: 0000:00:03.0 for PCI */
            bus?: string;
            /** @description Of a missing card: those that may be in its place */
            candidates?: {
                /** @description Name the card has now */
                name: string;
                /**
                 * @description replaced: it sits in the slot; same-mac: it has the MAC, but so has another one
                 * @enum {string}
                 */
                reason: "replaced" | "same-mac";
            }[];
            /** @description The other end answers */
            carrier: boolean;
            /** @description Counters of the kernel, of 64 bits */
            counters?: {
                /** @description Since the link was made */
                receivedBytes: number;
                /** @description Since the link was made */
                receivedDropped: number;
                /** @description Since the link was made */
                receivedErrors: number;
                /** @description Since the link was made */
                receivedPackets: number;
                /** @description Since the link was made */
                sentBytes: number;
                /** @description Since the link was made */
                sentDropped: number;
                /** @description Since the link was made */
                sentErrors: number;
                /** @description Since the link was made */
                sentPackets: number;
            };
            /** @description Kernel driver; for a virtual link its kind */
            driver?: string;
            /**
             * @description Whether both sides may send at once
             * @enum {string}
             */
            duplex?: "full" | "half";
            /** @description Version of the card's firmware */
            firmware?: string;
            /** @description Of a virtual link: bond, vlan, … */
            kind?: string;
            /** @description Hardware address in use */
            mac?: string;
            /** @description Bond, bridge or VRF it belongs to */
            master?: string;
            /** @description Bytes; the most the driver takes */
            maxMtu?: number;
            /** @description Bytes; the least the driver takes */
            minMtu?: number;
            /** @description Bytes */
            mtu?: number;
            /** @description Name in the kernel */
            name: string;
            /** @description Who is at the other end, by its own words (LLDP) */
            neighbour?: {
                /** @description What the switch is known by */
                chassis: string;
                /** @description The switch's port */
                port: string;
                /** @description What the switch calls the port */
                portDescription?: string;
                /** @description Name of the switch */
                system?: string;
                /** @description What the switch is */
                systemDescription?: string;
            };
            /** @description The address the card was made with */
            permanentMac?: string;
            /** @description Hardware profiles whose images have the driver */
            profiles?: string[];
            /** @description Queues in use */
            queues?: {
                /** @description Receive queues */
                receive: number;
                /** @description Transmit queues */
                send: number;
            };
            /** @description Rings, queues, interrupts and offloads of a card, as far as its driver tells */
            settings?: {
                /** @description The card has it one way only */
                fixed: boolean;
                /** @description The greatest number that the card takes */
                most?: number;
                /** @description As the card has it */
                now: number | boolean;
                /** @description Why the card does not have it so */
                refused?: string;
                /**
                 * @description Field of card of an interface
                 * @enum {string}
                 */
                setting: "channels.receive" | "channels.send" | "channels.combined" | "rings.receive" | "rings.send" | "coalescing.receiveMicroseconds" | "coalescing.receiveFrames" | "coalescing.sendMicroseconds" | "coalescing.sendFrames" | "coalescing.adaptiveReceive" | "coalescing.adaptiveSend" | "offloads.receiveChecksum" | "offloads.sendChecksum" | "offloads.scatterGather" | "offloads.tcpSegmentation" | "offloads.genericSegmentation" | "offloads.genericReceive" | "offloads.genericReceiveHardware" | "offloads.receiveVlan" | "offloads.sendVlan";
                /** @description What the card was told */
                wanted?: number | boolean | "max";
            }[];
            /** @description Mbit/s */
            speed?: number;
            /**
             * @description down: administratively off; no-carrier: on, but no link; up: working; missing: the card is not there
             * @enum {string}
             */
            state: "up" | "no-carrier" | "down" | "missing";
            /** @description Name of the card this is a virtual function of */
            virtualFunctionOf?: string;
            /** @description Of a card with SR-IOV */
            virtualFunctions?: {
                /** @description That are on */
                active: number;
                /** @description That the card can have */
                greatest: number;
            };
        };
        Lockout: {
            /** @description Wrong ones in a row */
            attempts: number;
            /**
             * Format: date-time
             * @description When the next attempt is looked at
             */
            until: string;
            /** @description Who has to wait */
            user: string;
        };
        MadeApiKey: {
            /**
             * Format: date-time
             * @description When it was made
             */
            created: string;
            /**
             * @description For people
             * @default
             */
            description: string;
            /**
             * Format: date-time
             * @description When it ends
             */
            expires?: string;
            /** @description Also the beginning of the key, after sty_ */
            id: string;
            /** @description For Authorization: Bearer …; shown once */
            key: string;
            /** @description Left out: never */
            lastUsed?: {
                /** @description Address of the client */
                source: string;
                /**
                 * Format: date-time
                 * @description When
                 */
                time: string;
            };
            /**
             * @description Only from these networks, such as 192.0.2.0/24; none: from anywhere
             * @default []
             */
            networks: string[];
            /** @description In whose name it acts; a key never does more than its owner may do now */
            owner: string;
            /** @description What it may do */
            roles: string[];
        };
        ManagementCertificate: {
            /** @description PEM, with the authorities behind it */
            certificate: string;
            /** @description Whole days until it expires; below 0 once it has */
            daysLeft: number;
            /** @description SHA-256, AB:CD:… */
            fingerprint: string;
            /** @description Who signed it */
            issuer: string;
            /** @description Kind of key, such as ECDSA P-256 */
            key: string;
            /** @description Of the configured one */
            name?: string;
            /** @description Host names and addresses it is for */
            names: string[];
            /**
             * Format: date-time
             * @description Valid until
             */
            notAfter: string;
            /**
             * Format: date-time
             * @description Valid from
             */
            notBefore: string;
            /** @description Why the configured one is not shown */
            reason?: string;
            /** @description No authority vouches for it */
            selfSigned: boolean;
            /** @description How it is signed, such as ECDSA with SHA-256 */
            signature: string;
            /**
             * @description The box's own, or that of system.management.certificate
             * @enum {string}
             */
            source: "self-signed" | "configured";
            /** @description Whom it names */
            subject: string;
        };
        MemberPattern: {
            /** @description Place on the bus, with * and ? */
            bus?: string;
            /** @description Kernel driver */
            driver?: string;
            /** @description First bytes of the permanent MAC address */
            macPrefix?: string;
            /** @description Name, with * for any characters and ? for one */
            name?: string;
            /** @description Mbit/s; a card without carrier has none, and stays a member if it is one */
            speed?: number;
        };
        MemberPatternInput: {
            /** @description Place on the bus, with * and ? */
            bus?: string;
            /** @description Kernel driver */
            driver?: string;
            /** @description First bytes of the permanent MAC address */
            macPrefix?: string;
            /** @description Name, with * for any characters and ? for one */
            name?: string;
            /** @description Mbit/s; a card without carrier has none, and stays a member if it is one */
            speed?: number;
        };
        /** @description The fields to change; null takes a field back to its default */
        MergePatchInput: {
            [key: string]: unknown;
        };
        MiiMonitoring: {
            /**
             * @description Milliseconds without carrier before a member is not used
             * @default 0
             */
            downDelay: number;
            /**
             * @description Milliseconds between two looks at the carrier
             * @default 100
             */
            interval: number;
            /**
             * @description Milliseconds of carrier before a member is used
             * @default 0
             */
            upDelay: number;
        };
        MiiMonitoringInput: {
            /**
             * @description Milliseconds without carrier before a member is not used
             * @default 0
             */
            downDelay?: number;
            /**
             * @description Milliseconds between two looks at the carrier
             * @default 100
             */
            interval?: number;
            /**
             * @description Milliseconds of carrier before a member is used
             * @default 0
             */
            upDelay?: number;
        };
        NamedAuditTarget: {
            /** @description For tls: certificates of the authorities that may have signed the server's (PEM); left out: the public ones */
            caCertificates?: string;
            /**
             * @description For people
             * @default
             */
            description: string;
            /**
             * @description false: nothing is sent, and the place is kept
             * @default true
             */
            enabled: boolean;
            /**
             * @description Of the SD-ID steelyard@…; the default is the one for examples (RFC 5612)
             * @default 32473
             */
            enterpriseNumber: number;
            /**
             * @description Of RFC 5424
             * @default audit
             * @enum {string}
             */
            facility: "kern" | "user" | "daemon" | "auth" | "syslog" | "authpriv" | "audit" | "alert" | "local0" | "local1" | "local2" | "local3" | "local4" | "local5" | "local6" | "local7";
            /**
             * @description After the structured data. json: the record as it stands in the log, so that its hash can be checked; text: one sentence
             * @default json
             * @enum {string}
             */
            format: "json" | "text";
            /** @description Of the syslog server */
            host: string;
            /**
             * @description Greatest message the server takes; for udp 2048. A record that is longer goes without its diffs
             * @default 8192
             */
            maxBytes: number;
            /** @description Name of the audit target */
            name: string;
            /**
             * @description For tls: SHA-256 of the server's own certificate: these and no others, whoever signed them
             * @default []
             */
            pinnedCertificates: string[];
            /** @description Left out: 6514 for tls, 601 for tcp, 514 for udp */
            port?: number;
            /** @description For tls: the name in the certificate, where it is not the host */
            serverName?: string;
            /**
             * @description tls: RFC 5425; tcp: RFC 6587 with octet counting; udp: RFC 5426, where what is lost is not noticed
             * @default tls
             * @enum {string}
             */
            transport: "tls" | "tcp" | "udp";
        };
        NamedAuditTargetInput: {
            /** @description For tls: certificates of the authorities that may have signed the server's (PEM); left out: the public ones */
            caCertificates?: string;
            /**
             * @description For people
             * @default
             */
            description?: string;
            /**
             * @description false: nothing is sent, and the place is kept
             * @default true
             */
            enabled?: boolean;
            /**
             * @description Of the SD-ID steelyard@…; the default is the one for examples (RFC 5612)
             * @default 32473
             */
            enterpriseNumber?: number;
            /**
             * @description Of RFC 5424
             * @default audit
             * @enum {string}
             */
            facility?: "kern" | "user" | "daemon" | "auth" | "syslog" | "authpriv" | "audit" | "alert" | "local0" | "local1" | "local2" | "local3" | "local4" | "local5" | "local6" | "local7";
            /**
             * @description After the structured data. json: the record as it stands in the log, so that its hash can be checked; text: one sentence
             * @default json
             * @enum {string}
             */
            format?: "json" | "text";
            /** @description Of the syslog server */
            host: string;
            /**
             * @description Greatest message the server takes; for udp 2048. A record that is longer goes without its diffs
             * @default 8192
             */
            maxBytes?: number;
            /** @description Name of the audit target */
            name: string;
            /**
             * @description For tls: SHA-256 of the server's own certificate: these and no others, whoever signed them
             * @default []
             */
            pinnedCertificates?: string[];
            /** @description Left out: 6514 for tls, 601 for tcp, 514 for udp */
            port?: number;
            /** @description For tls: the name in the certificate, where it is not the host */
            serverName?: string;
            /**
             * @description tls: RFC 5425; tcp: RFC 6587 with octet counting; udp: RFC 5426, where what is lost is not noticed
             * @default tls
             * @enum {string}
             */
            transport?: "tls" | "tcp" | "udp";
        };
        NamedBackend: {
            /** @description Address of the server; of the same family as the virtual addresses */
            address: string;
            /** @description Name of the backend */
            name: string;
            /** @description Port on the server; left out, the port the client asked for */
            port?: number;
            /**
             * @description 1 is used first; for each backend in use that is not up, the next priority is used as well
             * @default 1
             */
            priority: number;
            /**
             * @description up: takes connections; maintenance: keeps the ones it has, gets no new one; down: loses them all
             * @default up
             * @enum {string}
             */
            state: "up" | "maintenance" | "down";
            /**
             * @description Share of new connections, next to the weights of the other backends
             * @default 1
             */
            weight: number;
        };
        NamedBackendInput: {
            /** @description Address of the server; of the same family as the virtual addresses */
            address: string;
            /** @description Name of the backend */
            name: string;
            /** @description Port on the server; left out, the port the client asked for */
            port?: number;
            /**
             * @description 1 is used first; for each backend in use that is not up, the next priority is used as well
             * @default 1
             */
            priority?: number;
            /**
             * @description up: takes connections; maintenance: keeps the ones it has, gets no new one; down: loses them all
             * @default up
             * @enum {string}
             */
            state?: "up" | "maintenance" | "down";
            /**
             * @description Share of new connections, next to the weights of the other backends
             * @default 1
             */
            weight?: number;
        };
        NamedCertificate: {
            /** @description PEM: the server's certificate, then each authority that signed the one before; none while a request awaits its answer */
            certificate?: string;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /** @description Name of the certificate */
            name: string;
            /** @description PEM (PKCS #10), for keys made on the box: what the authority signs */
            request?: string;
        };
        NamedDirectory: {
            /**
             * @description true: ldap:// without TLS; passwords then cross the network in clear
             * @default false
             */
            allowUnencrypted: boolean;
            /** @description Where users are searched for, and all below */
            baseDn: string;
            /** @description Account that searches; left out with no userTemplate: anonymous */
            bindDn?: string;
            /** @description Certificates of the authorities that may have signed the servers' (PEM); left out: the public ones */
            caCertificates?: string;
            /**
             * @description Held by everybody whom the directory knows
             * @default []
             */
            defaultRoles: string[];
            /**
             * @description For people
             * @default
             */
            description: string;
            /**
             * @description false: nobody logs in by it, and its sessions end
             * @default true
             */
            enabled: boolean;
            /**
             * @description Sessions outlive a directory that does not answer for this time beyond recheckMinutes
             * @default 60
             */
            graceMinutes: number;
            /** @description Where groups are searched for; left out: baseDn */
            groupBaseDn?: string;
            /**
             * @description For search: {dn} stands for the DN of the user, {user} for the name, both escaped
             * @default (|(member={dn})(uniqueMember={dn})(memberUid={user}))
             */
            groupFilter: string;
            /**
             * @description memberOf: the attribute of the user; search: groups that name the user, by groupFilter; active-directory: nested ones too, by the matching rule 1.2.840.113556.1.4.1941
             * @default memberOf
             * @enum {string}
             */
            groupLookup: "memberOf" | "search" | "active-directory";
            /**
             * @description Which group holds which roles; who holds none is refused
             * @default []
             */
            groupRoles: components["schemas"]["GroupRoles"][];
            /** @description Name of the directory */
            name: string;
            /**
             * @description For memberOf and search: groups of groups count too, up to 8 deep
             * @default false
             */
            nestedGroups: boolean;
            /**
             * @description Directories are asked from the lowest number on, then by name
             * @default 100
             */
            order: number;
            /**
             * @description SHA-256 of the servers' own certificates: these and no others, whoever signed them
             * @default []
             */
            pinnedCertificates: string[];
            /**
             * @description Roles of open sessions are looked up anew after this time
             * @default 5
             */
            recheckMinutes: number;
            /** @description The name that the servers' certificates have, where it is not that of the address */
            serverName?: string;
            /** @description Asked in this order until one answers. ldaps:// is TLS from the first byte; ldap:// begins TLS with StartTLS */
            servers: string[];
            /**
             * @description For connecting with TLS, and for each answer
             * @default 5
             */
            timeoutSeconds: number;
            /**
             * @description RFC 4515; {user} stands for the name, escaped. Active Directory: (sAMAccountName={user})
             * @default (uid={user})
             */
            userFilter: string;
            /** @description Users bind themselves by this name, such as uid={user},ou=people,dc=example,dc=com, before they are searched for */
            userTemplate?: string;
        };
        NamedFarm: {
            /**
             * @description How a new connection is given a backend
             * @default weight
             * @enum {string}
             */
            algorithm: "weight" | "round-robin" | "hash-source-address" | "hash-source-address-port";
            /**
             * @description Backends by name
             * @default {}
             */
            backends: {
                [key: string]: components["schemas"]["L4Backend"];
            };
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /**
             * @description A farm that is not enabled opens no port
             * @default true
             */
            enabled: boolean;
            /** @description Name of the farm */
            name: string;
            /**
             * @description nat: backends see the box's address; dnat: they see the client's, and must route back through the box
             * @default nat
             * @enum {string}
             */
            natType: "nat" | "dnat";
            /** @description Ports and ranges of ports clients connect to */
            ports: string[];
            /**
             * @description Kind of farm
             * @constant
             */
            profile: "l4xnat";
            /**
             * @description Protocol of layer 4
             * @default tcp
             * @enum {string}
             */
            protocol: "tcp" | "udp";
            /** @description Addresses clients connect to, all of one family; the box must own them */
            virtualAddresses: string[];
        };
        NamedFarmInput: {
            /**
             * @description How a new connection is given a backend
             * @default weight
             * @enum {string}
             */
            algorithm?: "weight" | "round-robin" | "hash-source-address" | "hash-source-address-port";
            /**
             * @description Backends by name
             * @default {}
             */
            backends?: {
                [key: string]: components["schemas"]["L4BackendInput"];
            };
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description A farm that is not enabled opens no port
             * @default true
             */
            enabled?: boolean;
            /** @description Name of the farm */
            name: string;
            /**
             * @description nat: backends see the box's address; dnat: they see the client's, and must route back through the box
             * @default nat
             * @enum {string}
             */
            natType?: "nat" | "dnat";
            /** @description Ports and ranges of ports clients connect to */
            ports: (number | string)[];
            /**
             * @description Kind of farm
             * @constant
             */
            profile: "l4xnat";
            /**
             * @description Protocol of layer 4
             * @default tcp
             * @enum {string}
             */
            protocol?: "tcp" | "udp";
            /** @description Addresses clients connect to, all of one family; the box must own them */
            virtualAddresses: string[];
        };
        NamedGroup: {
            /**
             * @description For people
             * @default
             */
            description: string;
            /** @description Name of the group */
            name: string;
            /**
             * @description Held by every member
             * @default []
             */
            roles: string[];
        };
        NamedGroupInput: {
            /**
             * @description For people
             * @default
             */
            description?: string;
            /** @description Name of the group */
            name: string;
            /**
             * @description Held by every member
             * @default []
             */
            roles?: string[];
        };
        NamedInterface: {
            /**
             * @description A name for people, which the kernel keeps with the interface (ifAlias)
             * @default
             */
            alias: string;
            /** @description Of kind bond */
            bond?: components["schemas"]["Bond"];
            /** @description Of kind bridge */
            bridge?: components["schemas"]["Bridge"];
            /** @description Of kind ethernet: rings, queues, interrupts and offloads of the card */
            card?: components["schemas"]["Card"];
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /**
             * @description Administratively up
             * @default true
             */
            enabled: boolean;
            /**
             * @description IPv4 on this interface
             * @default {
             *       "method": "none",
             *       "addresses": []
             *     }
             */
            ipv4: components["schemas"]["Ipv4Settings"];
            /**
             * @description IPv6 on this interface
             * @default {
             *       "method": "none",
             *       "addresses": []
             *     }
             */
            ipv6: components["schemas"]["Ipv6Settings"];
            /**
             * @description ethernet: a network card; the others are made by the box
             * @default ethernet
             * @enum {string}
             */
            kind: "ethernet" | "bond" | "vlan" | "bridge" | "dummy" | "vrf";
            /** @description Bytes; left out, the driver's own */
            mtu?: number;
            /** @description Name of the interface */
            name: string;
            /** @description Of kind vlan */
            vlan?: components["schemas"]["Vlan"];
            /** @description Of kind vrf */
            vrf?: components["schemas"]["Vrf"];
        };
        NamedInterfaceInput: {
            /**
             * @description A name for people, which the kernel keeps with the interface (ifAlias)
             * @default
             */
            alias?: string;
            /** @description Of kind bond */
            bond?: components["schemas"]["BondInput"];
            /** @description Of kind bridge */
            bridge?: components["schemas"]["BridgeInput"];
            /** @description Of kind ethernet: rings, queues, interrupts and offloads of the card */
            card?: components["schemas"]["CardInput"];
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description Administratively up
             * @default true
             */
            enabled?: boolean;
            /**
             * @description IPv4 on this interface
             * @default {
             *       "method": "none",
             *       "addresses": []
             *     }
             */
            ipv4?: components["schemas"]["Ipv4SettingsInput"];
            /**
             * @description IPv6 on this interface
             * @default {
             *       "method": "none",
             *       "addresses": []
             *     }
             */
            ipv6?: components["schemas"]["Ipv6SettingsInput"];
            /**
             * @description ethernet: a network card; the others are made by the box
             * @default ethernet
             * @enum {string}
             */
            kind?: "ethernet" | "bond" | "vlan" | "bridge" | "dummy" | "vrf";
            /** @description Bytes; left out, the driver's own */
            mtu?: number;
            /** @description Name of the interface */
            name: string;
            /** @description Of kind vlan */
            vlan?: components["schemas"]["VlanInput"];
            /** @description Of kind vrf */
            vrf?: components["schemas"]["VrfInput"];
        };
        NamedRole: {
            /**
             * @description Only these objects, by kind; a kind left out is not bound. In a bound role the resource * stands for the bound kinds
             * @default {}
             */
            bindings: components["schemas"]["Bindings"];
            /**
             * @description For people
             * @default
             */
            description: string;
            /** @description Name of the role */
            name: string;
            /**
             * @description Each resource:verb; either half may be *
             * @default []
             */
            permissions: string[];
        };
        NamedRoleInput: {
            /**
             * @description Only these objects, by kind; a kind left out is not bound. In a bound role the resource * stands for the bound kinds
             * @default {}
             */
            bindings?: components["schemas"]["BindingsInput"];
            /**
             * @description For people
             * @default
             */
            description?: string;
            /** @description Name of the role */
            name: string;
            /**
             * @description Each resource:verb; either half may be *
             * @default []
             */
            permissions?: string[];
        };
        NamedRoute: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /** @description Network the route leads to; 0.0.0.0/0 or ::/0 for a default route */
            destination: string;
            /**
             * @description false: the route is not in the kernel
             * @default true
             */
            enabled: boolean;
            /** @description Interface the packets leave by */
            interface?: string;
            /**
             * @description The lower of two routes to one network is used; in IPv6, 0 stands for 1024
             * @default 0
             */
            metric: number;
            /** @description Bytes */
            mtu?: number;
            /** @description Name of the route */
            name: string;
            /**
             * @description true: the router is on the link, though no network of the interface holds it
             * @default false
             */
            onlink: boolean;
            /** @description Address the box sends from, where the sender names none */
            source?: string;
            /**
             * @description main, the name of a routing table, or that of an interface: its own table
             * @default main
             */
            table: string;
            /**
             * @description unicast leads on; the others drop packets: silently, as unreachable, or as forbidden
             * @default unicast
             * @enum {string}
             */
            type: "unicast" | "blackhole" | "unreachable" | "prohibit";
            /** @description Address of the router */
            via?: string;
        };
        NamedRouteInput: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /** @description Network the route leads to; 0.0.0.0/0 or ::/0 for a default route */
            destination: string;
            /**
             * @description false: the route is not in the kernel
             * @default true
             */
            enabled?: boolean;
            /** @description Interface the packets leave by */
            interface?: string;
            /**
             * @description The lower of two routes to one network is used; in IPv6, 0 stands for 1024
             * @default 0
             */
            metric?: number;
            /** @description Bytes */
            mtu?: number;
            /** @description Name of the route */
            name: string;
            /**
             * @description true: the router is on the link, though no network of the interface holds it
             * @default false
             */
            onlink?: boolean;
            /** @description Address the box sends from, where the sender names none */
            source?: string;
            /**
             * @description main, the name of a routing table, or that of an interface: its own table
             * @default main
             */
            table?: string;
            /**
             * @description unicast leads on; the others drop packets: silently, as unreachable, or as forbidden
             * @default unicast
             * @enum {string}
             */
            type?: "unicast" | "blackhole" | "unreachable" | "prohibit";
            /** @description Address of the router */
            via?: string;
        };
        NamedRoutingRule: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /**
             * @description false: the rule is not in the kernel
             * @default true
             */
            enabled: boolean;
            /** @description Network the packet comes from */
            from?: string;
            /** @description Interface the packet came in by; lo: the box itself sends it */
            interface?: string;
            /** @description Mark of the packet */
            mark?: {
                /**
                 * @description Bits that count
                 * @default 4294967295
                 */
                mask: number;
                /** @description What the mark is compared with, as far as the mask goes */
                value: number;
            };
            /** @description Name of the routing rule */
            name: string;
            /**
             * @description true: for packets that do not fit
             * @default false
             */
            not: boolean;
            /** @description Rules are asked in rising order, these before those that the box makes by itself */
            priority: number;
            /**
             * @description main, the name of a routing table, or that of an interface: its own table
             * @default main
             */
            table: string;
            /** @description Network the packet goes to */
            to?: string;
        };
        NamedRoutingRuleInput: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description false: the rule is not in the kernel
             * @default true
             */
            enabled?: boolean;
            /** @description Network the packet comes from */
            from?: string;
            /** @description Interface the packet came in by; lo: the box itself sends it */
            interface?: string;
            /** @description Mark of the packet */
            mark?: {
                /**
                 * @description Bits that count
                 * @default 4294967295
                 */
                mask?: number;
                /** @description What the mark is compared with, as far as the mask goes */
                value: number;
            };
            /** @description Name of the routing rule */
            name: string;
            /**
             * @description true: for packets that do not fit
             * @default false
             */
            not?: boolean;
            /** @description Rules are asked in rising order, these before those that the box makes by itself */
            priority: number;
            /**
             * @description main, the name of a routing table, or that of an interface: its own table
             * @default main
             */
            table?: string;
            /** @description Network the packet goes to */
            to?: string;
        };
        NamedRoutingTable: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /** @description Number of the table in the kernel; 253 to 255 are the kernel's own */
            id: number;
            /** @description Name of the routing table */
            name: string;
        };
        NamedRoutingTableInput: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /** @description Number of the table in the kernel; 253 to 255 are the kernel's own */
            id: number;
            /** @description Name of the routing table */
            name: string;
        };
        NamedUplink: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /** @description Address of the gateway; says the family the uplink serves */
            gateway: string;
            /** @description Interface towards the gateway */
            interface: string;
            /** @description Name of the uplink */
            name: string;
            /** @description For translation prefix: each host keeps its part of the address */
            prefix?: {
                /** @description IPv6 network of the hosts inside */
                inside: string;
                /** @description IPv6 network of the same length that the provider routes to this uplink */
                outside: string;
            };
            /**
             * @description Algorithm priority: uplinks of the lowest number of which one is up are used
             * @default 1
             */
            priority: number;
            /**
             * @description up: used while its probes succeed; maintenance: keeps its connections, gets no new one; down: loses them all
             * @default up
             * @enum {string}
             */
            state: "up" | "maintenance" | "down";
            /**
             * @description Source of what leaves: the address of the interface, another prefix (NPTv6, RFC 6296), or as it is
             * @default masquerade
             * @enum {string}
             */
            translation: "masquerade" | "prefix" | "none";
            /**
             * @description Algorithm weight: share of new connections, next to the weights of the others
             * @default 1
             */
            weight: number;
        };
        NamedUplinkFarm: {
            /**
             * @description How a new connection is given an uplink
             * @default weight
             * @enum {string}
             */
            algorithm: "weight" | "priority";
            /**
             * @description true: what the box itself sends uses the uplinks too, shared out by destination
             * @default false
             */
            box: boolean;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /**
             * @description false: nothing of it is in the kernel
             * @default true
             */
            enabled: boolean;
            /**
             * @description Rounds in a row that fail until an uplink is down
             * @default 3
             */
            fall: number;
            /**
             * @description For after-hold: seconds it must have been up
             * @default 60
             */
            hold: number;
            /**
             * @description Interfaces inside, whose hosts use the uplinks
             * @default []
             */
            interfaces: string[];
            /**
             * @description Seconds between two rounds of probes
             * @default 2
             */
            interval: number;
            /** @description Name of the uplink farm */
            name: string;
            /**
             * @description A round of probes succeeds when any, or all, of its targets answer
             * @default any
             * @enum {string}
             */
            need: "any" | "all";
            /**
             * @description What each uplink is probed with; none: link and neighbour alone
             * @default {}
             */
            probes: {
                [key: string]: components["schemas"]["UplinkProbe"];
            };
            /**
             * @description When an uplink that is up again is used again
             * @default immediately
             * @enum {string}
             */
            return: "immediately" | "after-hold" | "manually";
            /**
             * @description Rounds in a row that succeed until an uplink is up again
             * @default 2
             */
            rise: number;
            /**
             * @description Networks inside that may use them; left out, all that come in by these interfaces
             * @default []
             */
            sources: string[];
            /**
             * @description What is tied to one uplink; the first that fits holds
             * @default []
             */
            ties: components["schemas"]["UplinkTie"][];
            /**
             * @description Seconds a target is given to answer
             * @default 1
             */
            timeout: number;
            /**
             * @description Uplinks by name
             * @default {}
             */
            uplinks: {
                [key: string]: components["schemas"]["Uplink"];
            };
        };
        NamedUplinkFarmInput: {
            /**
             * @description How a new connection is given an uplink
             * @default weight
             * @enum {string}
             */
            algorithm?: "weight" | "priority";
            /**
             * @description true: what the box itself sends uses the uplinks too, shared out by destination
             * @default false
             */
            box?: boolean;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description false: nothing of it is in the kernel
             * @default true
             */
            enabled?: boolean;
            /**
             * @description Rounds in a row that fail until an uplink is down
             * @default 3
             */
            fall?: number;
            /**
             * @description For after-hold: seconds it must have been up
             * @default 60
             */
            hold?: number;
            /**
             * @description Interfaces inside, whose hosts use the uplinks
             * @default []
             */
            interfaces?: string[];
            /**
             * @description Seconds between two rounds of probes
             * @default 2
             */
            interval?: number;
            /** @description Name of the uplink farm */
            name: string;
            /**
             * @description A round of probes succeeds when any, or all, of its targets answer
             * @default any
             * @enum {string}
             */
            need?: "any" | "all";
            /**
             * @description What each uplink is probed with; none: link and neighbour alone
             * @default {}
             */
            probes?: {
                [key: string]: components["schemas"]["UplinkProbeInput"];
            };
            /**
             * @description When an uplink that is up again is used again
             * @default immediately
             * @enum {string}
             */
            return?: "immediately" | "after-hold" | "manually";
            /**
             * @description Rounds in a row that succeed until an uplink is up again
             * @default 2
             */
            rise?: number;
            /**
             * @description Networks inside that may use them; left out, all that come in by these interfaces
             * @default []
             */
            sources?: string[];
            /**
             * @description What is tied to one uplink; the first that fits holds
             * @default []
             */
            ties?: components["schemas"]["UplinkTieInput"][];
            /**
             * @description Seconds a target is given to answer
             * @default 1
             */
            timeout?: number;
            /**
             * @description Uplinks by name
             * @default {}
             */
            uplinks?: {
                [key: string]: components["schemas"]["UplinkInput"];
            };
        };
        NamedUplinkInput: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /** @description Address of the gateway; says the family the uplink serves */
            gateway: string;
            /** @description Interface towards the gateway */
            interface: string;
            /** @description Name of the uplink */
            name: string;
            /** @description For translation prefix: each host keeps its part of the address */
            prefix?: {
                /** @description IPv6 network of the hosts inside */
                inside: string;
                /** @description IPv6 network of the same length that the provider routes to this uplink */
                outside: string;
            };
            /**
             * @description Algorithm priority: uplinks of the lowest number of which one is up are used
             * @default 1
             */
            priority?: number;
            /**
             * @description up: used while its probes succeed; maintenance: keeps its connections, gets no new one; down: loses them all
             * @default up
             * @enum {string}
             */
            state?: "up" | "maintenance" | "down";
            /**
             * @description Source of what leaves: the address of the interface, another prefix (NPTv6, RFC 6296), or as it is
             * @default masquerade
             * @enum {string}
             */
            translation?: "masquerade" | "prefix" | "none";
            /**
             * @description Algorithm weight: share of new connections, next to the weights of the others
             * @default 1
             */
            weight?: number;
        };
        NamedUser: {
            /**
             * @description For people
             * @default
             */
            description: string;
            /**
             * @description true: lets nobody in, and ends what is open
             * @default false
             */
            disabled: boolean;
            /**
             * Format: date
             * @description From the beginning of this day (UTC) on, the account lets nobody in
             */
            expires?: string;
            /**
             * @description Shown to people
             * @default
             */
            fullName: string;
            /**
             * @description Their roles are held too
             * @default []
             */
            groups: string[];
            /** @description Name of the user */
            name: string;
            /**
             * @description In addition to those of the groups
             * @default []
             */
            roles: string[];
            /**
             * @description Who checks the password: this box, or a directory such as LDAP
             * @default local
             * @enum {string}
             */
            source: "local" | "directory";
            /**
             * @description For the shell of the box; needs the permission shell:use
             * @default []
             */
            sshKeys: string[];
        };
        NamedVirtualAddress: {
            /** @description The address with its prefix length */
            address: string;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /**
             * @description false: the address is not on the box
             * @default true
             */
            enabled: boolean;
            /** @description Interface the address is put on */
            interface: string;
            /** @description Name of the virtual address */
            name: string;
        };
        NamedVirtualAddressInput: {
            /** @description The address with its prefix length */
            address: string;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description false: the address is not on the box
             * @default true
             */
            enabled?: boolean;
            /** @description Interface the address is put on */
            interface: string;
            /** @description Name of the virtual address */
            name: string;
        };
        NewApiKeyInput: {
            /**
             * @description For people
             * @default
             */
            description?: string;
            /**
             * Format: date-time
             * @description When it ends
             */
            expires?: string;
            /**
             * @description Only from these networks, such as 192.0.2.0/24; none: from anywhere
             * @default []
             */
            networks?: string[];
            /** @description Left out, the caller; another takes access:create */
            owner?: string;
            /** @description What it may do */
            roles: string[];
        };
        NewCertificateInput: {
            /** @description PEM: the server's certificate, then each authority that signed the one before; none while a request awaits its answer */
            certificate?: string;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /** @description PEM, without a passphrase; left out when replacing: stays */
            key?: string;
            /** @description Name of the certificate */
            name: string;
            /** @description PEM (PKCS #10), for keys made on the box: what the authority signs */
            request?: string;
        };
        NewDirectoryInput: {
            /**
             * @description true: ldap:// without TLS; passwords then cross the network in clear
             * @default false
             */
            allowUnencrypted?: boolean;
            /** @description Where users are searched for, and all below */
            baseDn: string;
            /** @description Account that searches; left out with no userTemplate: anonymous */
            bindDn?: string;
            /** @description Left out when replacing: stays; null: none */
            bindPassword?: string | null;
            /** @description Certificates of the authorities that may have signed the servers' (PEM); left out: the public ones */
            caCertificates?: string;
            /**
             * @description Held by everybody whom the directory knows
             * @default []
             */
            defaultRoles?: string[];
            /**
             * @description For people
             * @default
             */
            description?: string;
            /**
             * @description false: nobody logs in by it, and its sessions end
             * @default true
             */
            enabled?: boolean;
            /**
             * @description Sessions outlive a directory that does not answer for this time beyond recheckMinutes
             * @default 60
             */
            graceMinutes?: number;
            /** @description Where groups are searched for; left out: baseDn */
            groupBaseDn?: string;
            /**
             * @description For search: {dn} stands for the DN of the user, {user} for the name, both escaped
             * @default (|(member={dn})(uniqueMember={dn})(memberUid={user}))
             */
            groupFilter?: string;
            /**
             * @description memberOf: the attribute of the user; search: groups that name the user, by groupFilter; active-directory: nested ones too, by the matching rule 1.2.840.113556.1.4.1941
             * @default memberOf
             * @enum {string}
             */
            groupLookup?: "memberOf" | "search" | "active-directory";
            /**
             * @description Which group holds which roles; who holds none is refused
             * @default []
             */
            groupRoles?: components["schemas"]["GroupRolesInput"][];
            /** @description Name of the directory */
            name: string;
            /**
             * @description For memberOf and search: groups of groups count too, up to 8 deep
             * @default false
             */
            nestedGroups?: boolean;
            /**
             * @description Directories are asked from the lowest number on, then by name
             * @default 100
             */
            order?: number;
            /**
             * @description SHA-256 of the servers' own certificates: these and no others, whoever signed them
             * @default []
             */
            pinnedCertificates?: string[];
            /**
             * @description Roles of open sessions are looked up anew after this time
             * @default 5
             */
            recheckMinutes?: number;
            /** @description The name that the servers' certificates have, where it is not that of the address */
            serverName?: string;
            /** @description Asked in this order until one answers. ldaps:// is TLS from the first byte; ldap:// begins TLS with StartTLS */
            servers: string[];
            /**
             * @description For connecting with TLS, and for each answer
             * @default 5
             */
            timeoutSeconds?: number;
            /**
             * @description RFC 4515; {user} stands for the name, escaped. Active Directory: (sAMAccountName={user})
             * @default (uid={user})
             */
            userFilter?: string;
            /** @description Users bind themselves by this name, such as uid={user},ou=people,dc=example,dc=com, before they are searched for */
            userTemplate?: string;
        };
        NewUserInput: {
            /**
             * @description For people
             * @default
             */
            description?: string;
            /**
             * @description true: lets nobody in, and ends what is open
             * @default false
             */
            disabled?: boolean;
            /**
             * Format: date
             * @description From the beginning of this day (UTC) on, the account lets nobody in
             */
            expires?: string;
            /**
             * @description Shown to people
             * @default
             */
            fullName?: string;
            /**
             * @description Their roles are held too
             * @default []
             */
            groups?: string[];
            /** @description Name of the user */
            name: string;
            /** @description In clear; only its hash is kept. Left out when replacing: stays as it is; null: none, no login by password */
            password?: string | null;
            /**
             * @description In addition to those of the groups
             * @default []
             */
            roles?: string[];
            /**
             * @description Who checks the password: this box, or a directory such as LDAP
             * @default local
             * @enum {string}
             */
            source?: "local" | "directory";
            /**
             * @description For the shell of the box; needs the permission shell:use
             * @default []
             */
            sshKeys?: string[];
        };
        NicPlace: {
            /**
             * @description named: by you; mac: the same card; proposed: accept it or name another; open: name one
             * @enum {string}
             */
            by: "named" | "mac" | "proposed" | "open";
            /** @description Cards of this box that may take its place, when that is not certain */
            candidates: string[];
            /** @description Network card in the backup */
            name: string;
            /** @description Why this one */
            reason: string;
            /** @description The one of this box in its place; none: nothing fits */
            to?: string;
        };
        NtpServer: {
            /** @description Address or name */
            address: string;
            /**
             * @description Authenticate it by Network Time Security (RFC 8915); it must be given by name, as in its certificate
             * @default false
             */
            nts: boolean;
            /** @description UDP port of NTP; left out, 123, or what NTS negotiates */
            port?: number;
            /**
             * @description Before those that are as good
             * @default false
             */
            prefer: boolean;
        };
        NtpServerInput: {
            /** @description Address or name */
            address: string;
            /**
             * @description Authenticate it by Network Time Security (RFC 8915); it must be given by name, as in its certificate
             * @default false
             */
            nts?: boolean;
            /** @description UDP port of NTP; left out, 123, or what NTS negotiates */
            port?: number;
            /**
             * @description Before those that are as good
             * @default false
             */
            prefer?: boolean;
        };
        ObjectChangeInput: {
            /** @description Path of the object in a generation: farms/web, network/interfaces/nic0, system */
            object: string;
            /**
             * @description Makes the object, or replaces it whole
             * @constant
             */
            op: "put";
            /** @description The object, without its name; (hidden) keeps a secret as it is */
            value: {
                [key: string]: unknown;
            };
        } | {
            /** @description Path of the object in a generation: farms/web, network/interfaces/nic0, system */
            object: string;
            /**
             * @description Changes fields: JSON merge patch, RFC 7396
             * @constant
             */
            op: "patch";
            /** @description The fields to change; null takes a field back to its default */
            value: {
                [key: string]: unknown;
            };
        } | {
            /** @description Path of the object in a generation: farms/web, network/interfaces/nic0, system */
            object: string;
            /**
             * @description Deletes the object
             * @constant
             */
            op: "delete";
        };
        OpenSession: {
            /** @description The session of this request */
            current: boolean;
            /**
             * Format: date-time
             * @description When it ends at the latest
             */
            expires: string;
            /** @description For ending it; the token cannot be made from it */
            id: string;
            /**
             * @description session: a token in a header; cookie: a browser
             * @enum {string}
             */
            means: "session" | "cookie";
            /**
             * Format: date-time
             * @description When it was opened
             */
            opened: string;
            /** @description Address it was opened from */
            source: string;
            /**
             * Format: date-time
             * @description When the last request came
             */
            used: string;
            /** @description Whose it is */
            user: string;
        };
        OwnSshKeys: {
            /**
             * @description For the shell of the box; needs the permission shell:use
             * @default []
             */
            sshKeys: string[];
        };
        OwnSshKeysInput: {
            /**
             * @description For the shell of the box; needs the permission shell:use
             * @default []
             */
            sshKeys?: string[];
        };
        PasswordChangeInput: {
            /** @description The password of now */
            current: string;
            /** @description The new one */
            password: string;
        };
        PasswordResetDone: {
            /** @description The generation it made */
            generation: number;
        };
        PasswordResetInput: {
            /** @description The new one, in clear; only its hash is kept */
            password: string;
        };
        PasswordResetState: {
            /** @description It can be done now */
            possible: boolean;
            /** @description Why not */
            reason?: string;
        };
        PendingCommit: {
            /** @description Who made the change */
            author: string;
            /**
             * Format: date-time
             * @description When it goes back unless it is confirmed
             */
            deadline: string;
            /** @description The generation that is current until then */
            generation: number;
            /** @description What the change does */
            message: string;
            /** @description The confirmed generation, whose content comes back; 0: none, the first boot begins again */
            parent: number;
            /** @description How the change can cut off an operator; none when asked for */
            reasons: string[];
            /** @description Address of the client, or local */
            source: string;
            /**
             * Format: date-time
             * @description When the change was made
             */
            time: string;
        };
        Plan: {
            /** @description Minutes in which the change has to be confirmed, or it goes back; 0: it stays */
            confirmWithin: number;
            /** @description Of a dry run: what would change, object by object */
            differences?: components["schemas"]["Difference"][];
            /** @description The generation that is current now */
            generation: number;
            /** @description The change, when it was made and has to be confirmed */
            pending?: components["schemas"]["PendingCommit"];
            /** @description How the change can cut off an operator who works over the network */
            reasons: string[];
            /** @description What is done to the machine, in order */
            steps: {
                /** @description Stable name of the kind of step */
                kind: string;
                /** @description Who does it */
                subsystem: string;
                /** @description The step in words: add farm web */
                summary: string;
            }[];
            /** @description What is allowed, and perhaps not meant */
            warnings: {
                /** @description What is expected */
                message: string;
                /** @description The field, from the root of the configuration: farms.web.backends.b1.port */
                path: string;
            }[];
        };
        Problem: {
            /** @description With second-factor-required: to be sent back with a code */
            challenge?: string;
            /**
             * @description Stable name of the kind of error
             * @enum {string}
             */
            code: "bad-input" | "unauthenticated" | "second-factor-required" | "forbidden" | "not-found" | "method-not-allowed" | "exists" | "in-use" | "address-taken" | "ambiguous" | "awaiting-confirmation" | "key-in-use" | "too-many-jobs" | "unended" | "stale" | "too-large" | "unsupported-type" | "invalid-configuration" | "bad-backup" | "key-reused" | "too-many-requests" | "apply-failed" | "disk-full" | "not-ready" | "command-failed" | "incompatible" | "corrupt" | "internal";
            /** @description What happened this time */
            detail: string;
            /** @description With second-factor-required: how long the challenge is good */
            expiresInSeconds?: number;
            /** @description With second-factor-required: what gives codes, such as totp */
            factors?: string[];
            /** @description Each offending field: its path, such as farms.web.backends.b1.port, and what is expected */
            problems: {
                /** @description What is expected */
                message: string;
                /** @description The field, from the root of the configuration: farms.web.backends.b1.port */
                path: string;
            }[];
            /** @description Also in the header Request-Id and in the log */
            requestId: string;
            /** @description The HTTP status */
            status: number;
            /** @description The same for every error of a code */
            title: string;
        };
        ProxySettings: {
            /**
             * @description Asked directly: domains with all below them, addresses, networks; loopback always is
             * @default []
             */
            bypass: string[];
            /** @description HTTP proxy (CONNECT for HTTPS); left out, servers are asked directly */
            url?: string;
        };
        ProxySettingsInput: {
            /**
             * @description Asked directly: domains with all below them, addresses, networks; loopback always is
             * @default []
             */
            bypass?: string[];
            /** @description HTTP proxy (CONNECT for HTTPS); left out, servers are asked directly */
            url?: string;
        };
        RecoveryCodes: {
            /** @description Each is good once, in place of a code; shown once */
            recoveryCodes: string[];
        };
        RequestedCertificate: {
            /** @description PEM: the server's certificate, then each authority that signed the one before; none while a request awaits its answer */
            certificate?: string;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /** @description Of the certificate */
            name: string;
            /** @description PEM (PKCS #10), for keys made on the box: what the authority signs */
            request?: string;
        };
        RestoreReport: {
            /** @description What changes, object by object */
            differences: components["schemas"]["Difference"][];
            /** @description Certificate, key and host keys of the backup were taken, or would be */
            identity: boolean;
            /** @description What the backup says of itself */
            manifest: components["schemas"]["BackupManifest"];
            /** @description Each network card that the configuration names, and what becomes of it */
            nics: components["schemas"]["NicPlace"][];
            /** @description What is done to the machine; none while a card has no place */
            plan?: components["schemas"]["Plan"];
            /** @description False: nothing was changed */
            restored: boolean;
        };
        RestoreWishInput: {
            /**
             * @description Take the places that are only proposed, too: look at a dry run first
             * @default false
             */
            acceptProposals?: boolean;
            /**
             * @description Take the certificate and key of the API and the host keys of SSH too, at once and for good
             * @default false
             */
            identity?: boolean;
            /**
             * @description Network card of the backup and the one of this box in its place; wins over what would be found
             * @default {}
             */
            map?: {
                [key: string]: string;
            };
            /** @description Of the backup */
            passphrase?: string;
            /** @description Of a public key that it was made for: AGE-SECRET-KEY-1… */
            secretKey?: string;
        };
        Role: {
            /**
             * @description Only these objects, by kind; a kind left out is not bound. In a bound role the resource * stands for the bound kinds
             * @default {}
             */
            bindings: components["schemas"]["Bindings"];
            /**
             * @description For people
             * @default
             */
            description: string;
            /**
             * @description Each resource:verb; either half may be *
             * @default []
             */
            permissions: string[];
        };
        RoleReplacementInput: {
            /**
             * @description Only these objects, by kind; a kind left out is not bound. In a bound role the resource * stands for the bound kinds
             * @default {}
             */
            bindings?: components["schemas"]["BindingsInput"];
            /**
             * @description For people
             * @default
             */
            description?: string;
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /**
             * @description Each resource:verb; either half may be *
             * @default []
             */
            permissions?: string[];
        };
        RouteReplacementInput: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /** @description Network the route leads to; 0.0.0.0/0 or ::/0 for a default route */
            destination: string;
            /**
             * @description false: the route is not in the kernel
             * @default true
             */
            enabled?: boolean;
            /** @description Interface the packets leave by */
            interface?: string;
            /**
             * @description The lower of two routes to one network is used; in IPv6, 0 stands for 1024
             * @default 0
             */
            metric?: number;
            /** @description Bytes */
            mtu?: number;
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /**
             * @description true: the router is on the link, though no network of the interface holds it
             * @default false
             */
            onlink?: boolean;
            /** @description Address the box sends from, where the sender names none */
            source?: string;
            /**
             * @description main, the name of a routing table, or that of an interface: its own table
             * @default main
             */
            table?: string;
            /**
             * @description unicast leads on; the others drop packets: silently, as unreachable, or as forbidden
             * @default unicast
             * @enum {string}
             */
            type?: "unicast" | "blackhole" | "unreachable" | "prohibit";
            /** @description Address of the router */
            via?: string;
        };
        RouteStatus: {
            /** @description default, or the network */
            destination: string;
            /**
             * @description Address family
             * @enum {string}
             */
            family: "ipv4" | "ipv6";
            /** @description The interface packets leave by */
            interface?: string;
            /** @description The lower of two routes to one network is used */
            metric: number;
            /**
             * @description Who made it. steelyard: the box, as configured; kernel: with an address; lease: DHCP or a router advertisement; unmanaged: somebody else, and it is left alone
             * @enum {string}
             */
            origin: "steelyard" | "kernel" | "lease" | "static" | "unmanaged";
            /** @description Address the box sends from */
            source?: string;
            /** @description Name of the table, its number when it has none; an interface's own has the interface's */
            table: string;
            /** @description As ip-route(8) would be told */
            text: string;
            /** @description unicast, blackhole, unreachable or prohibit */
            type: string;
            /** @description The router */
            via?: string;
        };
        RoutingRoute: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /** @description Network the route leads to; 0.0.0.0/0 or ::/0 for a default route */
            destination: string;
            /**
             * @description false: the route is not in the kernel
             * @default true
             */
            enabled: boolean;
            /** @description Interface the packets leave by */
            interface?: string;
            /**
             * @description The lower of two routes to one network is used; in IPv6, 0 stands for 1024
             * @default 0
             */
            metric: number;
            /** @description Bytes */
            mtu?: number;
            /**
             * @description true: the router is on the link, though no network of the interface holds it
             * @default false
             */
            onlink: boolean;
            /** @description Address the box sends from, where the sender names none */
            source?: string;
            /**
             * @description main, the name of a routing table, or that of an interface: its own table
             * @default main
             */
            table: string;
            /**
             * @description unicast leads on; the others drop packets: silently, as unreachable, or as forbidden
             * @default unicast
             * @enum {string}
             */
            type: "unicast" | "blackhole" | "unreachable" | "prohibit";
            /** @description Address of the router */
            via?: string;
        };
        RoutingRule: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /**
             * @description false: the rule is not in the kernel
             * @default true
             */
            enabled: boolean;
            /** @description Network the packet comes from */
            from?: string;
            /** @description Interface the packet came in by; lo: the box itself sends it */
            interface?: string;
            /** @description Mark of the packet */
            mark?: {
                /**
                 * @description Bits that count
                 * @default 4294967295
                 */
                mask: number;
                /** @description What the mark is compared with, as far as the mask goes */
                value: number;
            };
            /**
             * @description true: for packets that do not fit
             * @default false
             */
            not: boolean;
            /** @description Rules are asked in rising order, these before those that the box makes by itself */
            priority: number;
            /**
             * @description main, the name of a routing table, or that of an interface: its own table
             * @default main
             */
            table: string;
            /** @description Network the packet goes to */
            to?: string;
        };
        RoutingRuleReplacementInput: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description false: the rule is not in the kernel
             * @default true
             */
            enabled?: boolean;
            /** @description Network the packet comes from */
            from?: string;
            /** @description Interface the packet came in by; lo: the box itself sends it */
            interface?: string;
            /** @description Mark of the packet */
            mark?: {
                /**
                 * @description Bits that count
                 * @default 4294967295
                 */
                mask?: number;
                /** @description What the mark is compared with, as far as the mask goes */
                value: number;
            };
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /**
             * @description true: for packets that do not fit
             * @default false
             */
            not?: boolean;
            /** @description Rules are asked in rising order, these before those that the box makes by itself */
            priority: number;
            /**
             * @description main, the name of a routing table, or that of an interface: its own table
             * @default main
             */
            table?: string;
            /** @description Network the packet goes to */
            to?: string;
        };
        RoutingTable: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /** @description Number of the table in the kernel; 253 to 255 are the kernel's own */
            id: number;
        };
        RoutingTableReplacementInput: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /** @description Number of the table in the kernel; 253 to 255 are the kernel's own */
            id: number;
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
        };
        RuleStatus: {
            /**
             * @description Address family
             * @enum {string}
             */
            family: "ipv4" | "ipv6";
            /**
             * @description Who made it. steelyard: the box, as configured; kernel: with an address; lease: DHCP or a router advertisement; unmanaged: somebody else, and it is left alone
             * @enum {string}
             */
            origin: "steelyard" | "kernel" | "lease" | "static" | "unmanaged";
            /** @description Rules are asked in rising order */
            priority: number;
            /** @description Name of the table, its number when it has none; an interface's own has the interface's */
            table: string;
            /** @description As ip-rule(8) would be told */
            text: string;
        };
        SealBegun: {
            /** @description What happens now */
            message: string;
        };
        SealInput: {
            /** @description Of this box, lest it is another one that is sealed */
            hostname: string;
            /**
             * @description true: the copies serve with this configuration; false: each has a first boot
             * @default false
             */
            keepConfiguration?: boolean;
        };
        SecondFactorChallengeInput: {
            /** @description Of the answer second-factor-required */
            challenge: string;
        };
        SecondFactorCodeInput: {
            /** @description Six digits of the app, or a recovery code */
            code: string;
        };
        SecondFactorEnrolment: {
            /** @description Base 32, to type into an app; shown once */
            secret: string;
            /** @description The QR code as a picture */
            svg: string;
            /** @description The QR code for a terminal */
            text: string;
            /** @description otpauth:// with the secret, as apps read it from a QR code */
            uri: string;
        };
        SecondFactorInput: {
            /** @description Of the answer second-factor-required */
            challenge: string;
            /** @description Such as the six digits of TOTP */
            code: string;
            /**
             * @description true: a cookie for a browser instead of a token; every change then needs the header X-CSRF-Token
             * @default false
             */
            cookie?: boolean;
        };
        SecondFactorState: {
            /** @description A code is asked for at login */
            enabled: boolean;
            /** @description How many are left */
            recoveryCodes: number;
        };
        Session: {
            /** @description With cookie: for the header X-CSRF-Token */
            csrfToken?: string;
            /**
             * Format: date-time
             * @description Ends then at the latest; earlier after the idle time without a request
             */
            expires: string;
            /** @description For the header Authorization: Bearer …; shown once; none with cookie */
            token?: string;
        };
        ShownApiKey: {
            /**
             * Format: date-time
             * @description When it was made
             */
            created: string;
            /**
             * @description For people
             * @default
             */
            description: string;
            /**
             * Format: date-time
             * @description When it ends
             */
            expires?: string;
            /** @description Also the beginning of the key, after sty_ */
            id: string;
            /** @description Left out: never */
            lastUsed?: {
                /** @description Address of the client */
                source: string;
                /**
                 * Format: date-time
                 * @description When
                 */
                time: string;
            };
            /**
             * @description Only from these networks, such as 192.0.2.0/24; none: from anywhere
             * @default []
             */
            networks: string[];
            /** @description In whose name it acts; a key never does more than its owner may do now */
            owner: string;
            /** @description What it may do */
            roles: string[];
        };
        StoredBackup: {
            /** @description The generation of the configuration that is in it */
            generation?: number;
            /** @description How many older generations are in it */
            history?: number;
            /** @description Name of the box that made it; not known of one that was uploaded */
            hostname?: string;
            /** @description Certificate and key of the API and host keys of SSH are in it */
            identity?: boolean;
            /**
             * @description What opens it: the passphrase it was made with, or the secret key of one of its public keys
             * @enum {string}
             */
            lock: "passphrase" | "recipients" | "unknown";
            /** @description Name of the backup */
            name: string;
            /**
             * @description How it came to be here
             * @enum {string}
             */
            origin: "made" | "scheduled" | "uploaded";
            /** @description Bytes */
            size: number;
            /**
             * Format: date-time
             * @description When it was made; of one that was uploaded, when that was
             */
            time: string;
            /** @description Of the appliance that made it */
            version?: string;
        };
        System: {
            /**
             * @description VGA and serial console of the box
             * @default {
             *       "passwordReset": true
             *     }
             */
            console: {
                /**
                 * @description Whoever is at the console may set a new administrator's password in the first minutes after a start
                 * @default true
                 */
                passwordReset: boolean;
            };
            /**
             * @description Resolvers; DHCP may add its own
             * @default {
             *       "servers": [],
             *       "search": [],
             *       "dnssec": "no",
             *       "overTls": "no"
             *     }
             */
            dns: {
                /**
                 * @description Check signatures: not; where the resolver can (an attacker may say that it cannot); always
                 * @default no
                 * @enum {string}
                 */
                dnssec: "no" | "allow-downgrade" | "yes";
                /**
                 * @description Ask over TLS (RFC 7858): not; where the resolver can, unchecked; always, with its certificate
                 * @default no
                 * @enum {string}
                 */
                overTls: "no" | "opportunistic" | "yes";
                /**
                 * @description Domains tried with names that have none
                 * @default []
                 */
                search: string[];
                /**
                 * @description Resolvers, asked in this order: address, or address#name with the name in its TLS certificate
                 * @default []
                 */
                servers: string[];
            };
            /**
             * @description Name of the box, alone or with its domain
             * @default steelyard
             */
            hostname: string;
            /**
             * @description Names the box knows without DNS, as in hosts(5)
             * @default []
             */
            hosts: components["schemas"]["HostsEntry"][];
            /**
             * @description Link Layer Discovery Protocol on network cards: hear switches; announce this box too; neither
             * @default receive
             * @enum {string}
             */
            lldp: "receive" | "both" | "off";
            /**
             * @description Where the box is managed
             * @default {
             *       "interfaces": [],
             *       "port": 444
             *     }
             */
            management: {
                /** @description Name of the certificate that the API shows; none: one the box has made and signed itself */
                certificate?: string;
                /**
                 * @description Interfaces on which the API and SSH answer; on all others they are closed
                 * @default []
                 */
                interfaces: string[];
                /**
                 * @description Port of the API and the web console
                 * @default 444
                 */
                port: number;
            };
            /**
             * @description Time servers; none: the clock is not set from the network
             * @default {
             *       "servers": []
             *     }
             */
            ntp: {
                /**
                 * @description Addresses or names of NTP servers, or objects of them with nts and prefer
                 * @default []
                 */
                servers: (string | components["schemas"]["NtpServer"])[];
            };
            /**
             * @description How the box itself reaches web servers; farms are not affected
             * @default {
             *       "bypass": []
             *     }
             */
            proxy: components["schemas"]["ProxySettings"];
            /**
             * @description The shell of administrators
             * @default {
             *       "enabled": false,
             *       "port": 22,
             *       "passwordAuthentication": false
             *     }
             */
            ssh: {
                /**
                 * @description SSH answers on the management interfaces
                 * @default false
                 */
                enabled: boolean;
                /**
                 * @description Keys alone when false
                 * @default false
                 */
                passwordAuthentication: boolean;
                /**
                 * @description TCP port
                 * @default 22
                 */
                port: number;
            };
            /**
             * @description Of logs and shells on the box; the API speaks UTC
             * @default UTC
             */
            timeZone: string;
            /**
             * @description Network cards that nothing uses: down, or up without any address, for their lights and LLDP
             * @default down
             * @enum {string}
             */
            unconfiguredCards: "down" | "up";
        };
        SystemInput: {
            /**
             * @description VGA and serial console of the box
             * @default {
             *       "passwordReset": true
             *     }
             */
            console?: {
                /**
                 * @description Whoever is at the console may set a new administrator's password in the first minutes after a start
                 * @default true
                 */
                passwordReset?: boolean;
            };
            /**
             * @description Resolvers; DHCP may add its own
             * @default {
             *       "servers": [],
             *       "search": [],
             *       "dnssec": "no",
             *       "overTls": "no"
             *     }
             */
            dns?: {
                /**
                 * @description Check signatures: not; where the resolver can (an attacker may say that it cannot); always
                 * @default no
                 * @enum {string}
                 */
                dnssec?: "no" | "allow-downgrade" | "yes";
                /**
                 * @description Ask over TLS (RFC 7858): not; where the resolver can, unchecked; always, with its certificate
                 * @default no
                 * @enum {string}
                 */
                overTls?: "no" | "opportunistic" | "yes";
                /**
                 * @description Domains tried with names that have none
                 * @default []
                 */
                search?: string[];
                /**
                 * @description Resolvers, asked in this order: address, or address#name with the name in its TLS certificate
                 * @default []
                 */
                servers?: string[];
            };
            /**
             * @description Name of the box, alone or with its domain
             * @default steelyard
             */
            hostname?: string;
            /**
             * @description Names the box knows without DNS, as in hosts(5)
             * @default []
             */
            hosts?: components["schemas"]["HostsEntryInput"][];
            /**
             * @description Link Layer Discovery Protocol on network cards: hear switches; announce this box too; neither
             * @default receive
             * @enum {string}
             */
            lldp?: "receive" | "both" | "off";
            /**
             * @description Where the box is managed
             * @default {
             *       "interfaces": [],
             *       "port": 444
             *     }
             */
            management?: {
                /** @description Name of the certificate that the API shows; none: one the box has made and signed itself */
                certificate?: string;
                /**
                 * @description Interfaces on which the API and SSH answer; on all others they are closed
                 * @default []
                 */
                interfaces?: string[];
                /**
                 * @description Port of the API and the web console
                 * @default 444
                 */
                port?: number;
            };
            /**
             * @description Time servers; none: the clock is not set from the network
             * @default {
             *       "servers": []
             *     }
             */
            ntp?: {
                /**
                 * @description Addresses or names of NTP servers, or objects of them with nts and prefer
                 * @default []
                 */
                servers?: (string | components["schemas"]["NtpServerInput"])[];
            };
            /**
             * @description How the box itself reaches web servers; farms are not affected
             * @default {
             *       "bypass": []
             *     }
             */
            proxy?: components["schemas"]["ProxySettingsInput"];
            /**
             * @description The shell of administrators
             * @default {
             *       "enabled": false,
             *       "port": 22,
             *       "passwordAuthentication": false
             *     }
             */
            ssh?: {
                /**
                 * @description SSH answers on the management interfaces
                 * @default false
                 */
                enabled?: boolean;
                /**
                 * @description Keys alone when false
                 * @default false
                 */
                passwordAuthentication?: boolean;
                /**
                 * @description TCP port
                 * @default 22
                 */
                port?: number;
            };
            /**
             * @description Of logs and shells on the box; the API speaks UTC
             * @default UTC
             */
            timeZone?: string;
            /**
             * @description Network cards that nothing uses: down, or up without any address, for their lights and LLDP
             * @default down
             * @enum {string}
             */
            unconfiguredCards?: "down" | "up";
        };
        SystemStatus: {
            /** @description Of the clock and its servers; none while no time servers are configured */
            clock?: components["schemas"]["ClockStatus"];
            /** @description Bytes; the file systems that fill up */
            disks: {
                /** @description Bytes, without those kept for root */
                available: number;
                /** @description Where it is mounted */
                path: string;
                /** @description Bytes */
                size: number;
                /** @description Bytes */
                used: number;
            }[];
            /** @description Every unit that has failed, be it ours or not */
            failedUnits: string[];
            /** @description The current generation of the configuration */
            generation: number;
            /**
             * @description degraded: there are problems
             * @enum {string}
             */
            health: "ok" | "degraded";
            /** @description Name of the box */
            hostname: string;
            /** @description The image it runs, with its profile */
            image?: string;
            /** @description Mean number of runnable tasks over 1, 5 and 15 minutes */
            load: number[];
            /** @description Bytes */
            memory: {
                /** @description Free, or free when asked for */
                available: number;
                /** @description Installed */
                total: number;
            };
            /**
             * Format: uuid
             * @description Id of this box, made once; a clone of a sealed box has its own
             */
            node?: string;
            /** @description A unit or the last scheduled backup has failed, another generation stands in for one that cannot be used, or the certificate of the API has expired; none when it is ok */
            problems: string[];
            /**
             * @description The root slot it runs from; none when it does not run from an image
             * @enum {string}
             */
            slot?: "a" | "b";
            /** @description RFC 3339, UTC */
            time: string;
            /** @description The services that matter */
            units: {
                /** @description As systemd calls it */
                name: string;
                /** @description ActiveState of systemd: active, inactive, failed, … */
                state: string;
            }[];
            /** @description Seconds */
            uptime: number;
            /** @description Of the appliance */
            version: string;
            /** @description What has to be done soon: a certificate expires */
            warnings: string[];
        };
        TransactionInput: {
            /** @description Carried out in their order, all or none */
            changes?: components["schemas"]["ObjectChangeInput"][];
            /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
            confirmWithin?: number;
            /** @description The generation the change was made from; when another is current by now, it is refused */
            generation?: number;
            /** @description What the change is for; stands in the history */
            message: string;
            /** @description In place of changes: the whole configuration as GET /api/v1/configuration shows it */
            replace?: {
                [key: string]: unknown;
            };
        };
        Uplink: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /** @description Address of the gateway; says the family the uplink serves */
            gateway: string;
            /** @description Interface towards the gateway */
            interface: string;
            /** @description For translation prefix: each host keeps its part of the address */
            prefix?: {
                /** @description IPv6 network of the hosts inside */
                inside: string;
                /** @description IPv6 network of the same length that the provider routes to this uplink */
                outside: string;
            };
            /**
             * @description Algorithm priority: uplinks of the lowest number of which one is up are used
             * @default 1
             */
            priority: number;
            /**
             * @description up: used while its probes succeed; maintenance: keeps its connections, gets no new one; down: loses them all
             * @default up
             * @enum {string}
             */
            state: "up" | "maintenance" | "down";
            /**
             * @description Source of what leaves: the address of the interface, another prefix (NPTv6, RFC 6296), or as it is
             * @default masquerade
             * @enum {string}
             */
            translation: "masquerade" | "prefix" | "none";
            /**
             * @description Algorithm weight: share of new connections, next to the weights of the others
             * @default 1
             */
            weight: number;
        };
        UplinkFarm: {
            /**
             * @description How a new connection is given an uplink
             * @default weight
             * @enum {string}
             */
            algorithm: "weight" | "priority";
            /**
             * @description true: what the box itself sends uses the uplinks too, shared out by destination
             * @default false
             */
            box: boolean;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /**
             * @description false: nothing of it is in the kernel
             * @default true
             */
            enabled: boolean;
            /**
             * @description Rounds in a row that fail until an uplink is down
             * @default 3
             */
            fall: number;
            /**
             * @description For after-hold: seconds it must have been up
             * @default 60
             */
            hold: number;
            /**
             * @description Interfaces inside, whose hosts use the uplinks
             * @default []
             */
            interfaces: string[];
            /**
             * @description Seconds between two rounds of probes
             * @default 2
             */
            interval: number;
            /**
             * @description A round of probes succeeds when any, or all, of its targets answer
             * @default any
             * @enum {string}
             */
            need: "any" | "all";
            /**
             * @description What each uplink is probed with; none: link and neighbour alone
             * @default {}
             */
            probes: {
                [key: string]: components["schemas"]["UplinkProbe"];
            };
            /**
             * @description When an uplink that is up again is used again
             * @default immediately
             * @enum {string}
             */
            return: "immediately" | "after-hold" | "manually";
            /**
             * @description Rounds in a row that succeed until an uplink is up again
             * @default 2
             */
            rise: number;
            /**
             * @description Networks inside that may use them; left out, all that come in by these interfaces
             * @default []
             */
            sources: string[];
            /**
             * @description What is tied to one uplink; the first that fits holds
             * @default []
             */
            ties: components["schemas"]["UplinkTie"][];
            /**
             * @description Seconds a target is given to answer
             * @default 1
             */
            timeout: number;
            /**
             * @description Uplinks by name
             * @default {}
             */
            uplinks: {
                [key: string]: components["schemas"]["Uplink"];
            };
        };
        UplinkFarmReplacementInput: {
            /**
             * @description How a new connection is given an uplink
             * @default weight
             * @enum {string}
             */
            algorithm?: "weight" | "priority";
            /**
             * @description true: what the box itself sends uses the uplinks too, shared out by destination
             * @default false
             */
            box?: boolean;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description false: nothing of it is in the kernel
             * @default true
             */
            enabled?: boolean;
            /**
             * @description Rounds in a row that fail until an uplink is down
             * @default 3
             */
            fall?: number;
            /**
             * @description For after-hold: seconds it must have been up
             * @default 60
             */
            hold?: number;
            /**
             * @description Interfaces inside, whose hosts use the uplinks
             * @default []
             */
            interfaces?: string[];
            /**
             * @description Seconds between two rounds of probes
             * @default 2
             */
            interval?: number;
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /**
             * @description A round of probes succeeds when any, or all, of its targets answer
             * @default any
             * @enum {string}
             */
            need?: "any" | "all";
            /**
             * @description What each uplink is probed with; none: link and neighbour alone
             * @default {}
             */
            probes?: {
                [key: string]: components["schemas"]["UplinkProbeInput"];
            };
            /**
             * @description When an uplink that is up again is used again
             * @default immediately
             * @enum {string}
             */
            return?: "immediately" | "after-hold" | "manually";
            /**
             * @description Rounds in a row that succeed until an uplink is up again
             * @default 2
             */
            rise?: number;
            /**
             * @description Networks inside that may use them; left out, all that come in by these interfaces
             * @default []
             */
            sources?: string[];
            /**
             * @description What is tied to one uplink; the first that fits holds
             * @default []
             */
            ties?: components["schemas"]["UplinkTieInput"][];
            /**
             * @description Seconds a target is given to answer
             * @default 1
             */
            timeout?: number;
            /**
             * @description Uplinks by name
             * @default {}
             */
            uplinks?: {
                [key: string]: components["schemas"]["UplinkInput"];
            };
        };
        UplinkFarmStatus: {
            /** @description The farm */
            name: string;
            /**
             * @description up: at least one uplink takes new connections
             * @enum {string}
             */
            state: "up" | "down" | "disabled";
            /** @description Each uplink */
            uplinks: {
                /** @description Connections that go out by it now */
                connections: number;
                /** @description What did not answer in the last round */
                failures: string[];
                /** @description Its gateway */
                gateway: string;
                /** @description Interface towards the gateway */
                interface: string;
                /** @description The uplink */
                name: string;
                /** @description Of its connections, since the set of uplinks last changed */
                receivedBytes: number;
                /** @description Of its connections, since the set of uplinks last changed */
                sentBytes: number;
                /** @description Since when its probes say so (RFC 3339); none without probes */
                since?: string;
                /**
                 * @description used: takes new connections; standby: another priority is used; maintenance, down: as set; dead: its probes fail; waiting: up again, waits for its return; no-link: its interface has no carrier
                 * @enum {string}
                 */
                state: "used" | "standby" | "maintenance" | "down" | "dead" | "waiting" | "no-link";
            }[];
        };
        UplinkInput: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /** @description Address of the gateway; says the family the uplink serves */
            gateway: string;
            /** @description Interface towards the gateway */
            interface: string;
            /** @description For translation prefix: each host keeps its part of the address */
            prefix?: {
                /** @description IPv6 network of the hosts inside */
                inside: string;
                /** @description IPv6 network of the same length that the provider routes to this uplink */
                outside: string;
            };
            /**
             * @description Algorithm priority: uplinks of the lowest number of which one is up are used
             * @default 1
             */
            priority?: number;
            /**
             * @description up: used while its probes succeed; maintenance: keeps its connections, gets no new one; down: loses them all
             * @default up
             * @enum {string}
             */
            state?: "up" | "maintenance" | "down";
            /**
             * @description Source of what leaves: the address of the interface, another prefix (NPTv6, RFC 6296), or as it is
             * @default masquerade
             * @enum {string}
             */
            translation?: "masquerade" | "prefix" | "none";
            /**
             * @description Algorithm weight: share of new connections, next to the weights of the others
             * @default 1
             */
            weight?: number;
        };
        UplinkProbe: {
            /** @description Target beyond the gateway, of the family of the uplinks it is for */
            address: string;
            /** @description http: host to ask for; the address unless told */
            host?: string;
            /**
             * @description dns: name to ask for; any answer of the server will do
             * @default example.com
             */
            name: string;
            /**
             * @description http: path to ask for
             * @default /
             */
            path: string;
            /** @description For tcp; 53 for dns and 80 for http unless told */
            port?: number;
            /** @description http: status that counts; any below 400 unless told */
            status?: number;
            /**
             * @description How the target is asked
             * @enum {string}
             */
            type: "icmp" | "tcp" | "dns" | "http";
        };
        UplinkProbeInput: {
            /** @description Target beyond the gateway, of the family of the uplinks it is for */
            address: string;
            /** @description http: host to ask for; the address unless told */
            host?: string;
            /**
             * @description dns: name to ask for; any answer of the server will do
             * @default example.com
             */
            name?: string;
            /**
             * @description http: path to ask for
             * @default /
             */
            path?: string;
            /** @description For tcp; 53 for dns and 80 for http unless told */
            port?: number;
            /** @description http: status that counts; any below 400 unless told */
            status?: number;
            /**
             * @description How the target is asked
             * @enum {string}
             */
            type: "icmp" | "tcp" | "dns" | "http";
        };
        UplinkReplacementInput: {
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /** @description Address of the gateway; says the family the uplink serves */
            gateway: string;
            /** @description Interface towards the gateway */
            interface: string;
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /** @description For translation prefix: each host keeps its part of the address */
            prefix?: {
                /** @description IPv6 network of the hosts inside */
                inside: string;
                /** @description IPv6 network of the same length that the provider routes to this uplink */
                outside: string;
            };
            /**
             * @description Algorithm priority: uplinks of the lowest number of which one is up are used
             * @default 1
             */
            priority?: number;
            /**
             * @description up: used while its probes succeed; maintenance: keeps its connections, gets no new one; down: loses them all
             * @default up
             * @enum {string}
             */
            state?: "up" | "maintenance" | "down";
            /**
             * @description Source of what leaves: the address of the interface, another prefix (NPTv6, RFC 6296), or as it is
             * @default masquerade
             * @enum {string}
             */
            translation?: "masquerade" | "prefix" | "none";
            /**
             * @description Algorithm weight: share of new connections, next to the weights of the others
             * @default 1
             */
            weight?: number;
        };
        UplinkTie: {
            /** @description Network the connection goes to */
            destination?: string;
            /** @description Farm whose answers leave by the uplink, wherever clients came in */
            farm?: string;
            /**
             * @description While the uplink is not up: as if there were no tie, or no connection at all
             * @default balance
             * @enum {string}
             */
            otherwise: "balance" | "drop";
            /** @description Network the connection comes from */
            source?: string;
            /** @description The uplink it is tied to */
            uplink: string;
        };
        UplinkTieInput: {
            /** @description Network the connection goes to */
            destination?: string;
            /** @description Farm whose answers leave by the uplink, wherever clients came in */
            farm?: string;
            /**
             * @description While the uplink is not up: as if there were no tie, or no connection at all
             * @default balance
             * @enum {string}
             */
            otherwise?: "balance" | "drop";
            /** @description Network the connection comes from */
            source?: string;
            /** @description The uplink it is tied to */
            uplink: string;
        };
        UserReplacementInput: {
            /**
             * @description For people
             * @default
             */
            description?: string;
            /**
             * @description true: lets nobody in, and ends what is open
             * @default false
             */
            disabled?: boolean;
            /**
             * Format: date
             * @description From the beginning of this day (UTC) on, the account lets nobody in
             */
            expires?: string;
            /**
             * @description Shown to people
             * @default
             */
            fullName?: string;
            /**
             * @description Their roles are held too
             * @default []
             */
            groups?: string[];
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
            /** @description In clear; only its hash is kept. Left out when replacing: stays as it is; null: none, no login by password */
            password?: string | null;
            /**
             * @description In addition to those of the groups
             * @default []
             */
            roles?: string[];
            /**
             * @description Who checks the password: this box, or a directory such as LDAP
             * @default local
             * @enum {string}
             */
            source?: "local" | "directory";
            /**
             * @description For the shell of the box; needs the permission shell:use
             * @default []
             */
            sshKeys?: string[];
        };
        Verification: {
            /** @description Newest first */
            generations: {
                /** @description Number of the generation */
                generation: number;
                /** @description What is wrong with it */
                problem?: string;
            }[];
            /** @description true: nothing is wrong with any generation */
            whole: boolean;
        };
        VirtualAddress: {
            /** @description The address with its prefix length */
            address: string;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description: string;
            /**
             * @description false: the address is not on the box
             * @default true
             */
            enabled: boolean;
            /** @description Interface the address is put on */
            interface: string;
        };
        VirtualAddressInput: {
            /** @description The address with its prefix length */
            address: string;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description false: the address is not on the box
             * @default true
             */
            enabled?: boolean;
            /** @description Interface the address is put on */
            interface: string;
        };
        VirtualAddressReplacementInput: {
            /** @description The address with its prefix length */
            address: string;
            /**
             * @description Free text of one line, for people
             * @default
             */
            description?: string;
            /**
             * @description false: the address is not on the box
             * @default true
             */
            enabled?: boolean;
            /** @description Interface the address is put on */
            interface: string;
            /** @description When given, the name in the address: an object keeps its name */
            name?: string;
        };
        VirtualAddressStatus: {
            /** @description MAC of another host that has it too */
            conflict?: string;
            /** @description false: this node has given it up; farms on it stay configured */
            held: boolean;
            /** @description Whether the kernel has it */
            present: boolean;
        };
        Vlan: {
            /** @description VLAN id */
            id: number;
            /** @description The interface that carries the tagged frames */
            parent: string;
            /**
             * @description Kind of tag; 802.1ad is the outer tag of a provider (QinQ)
             * @default 802.1Q
             * @enum {string}
             */
            protocol: "802.1Q" | "802.1ad";
        };
        VlanInput: {
            /** @description VLAN id */
            id: number;
            /** @description The interface that carries the tagged frames */
            parent: string;
            /**
             * @description Kind of tag; 802.1ad is the outer tag of a provider (QinQ)
             * @default 802.1Q
             * @enum {string}
             */
            protocol?: "802.1Q" | "802.1ad";
        };
        Vrf: {
            /**
             * @description Hosts and networks that the box itself reaches through it: of DNS, NTP, log and directory servers. What comes from there by another interface is dropped
             * @default []
             */
            destinations: string[];
            /**
             * @description Interfaces that are kept apart; they keep their addresses, and their gateways become those of the VRF
             * @default []
             */
            members: string[];
            /** @description Number of its routing table in the kernel; 253 to 255 are the kernel's own */
            table: number;
        };
        VrfInput: {
            /**
             * @description Hosts and networks that the box itself reaches through it: of DNS, NTP, log and directory servers. What comes from there by another interface is dropped
             * @default []
             */
            destinations?: string[];
            /**
             * @description Interfaces that are kept apart; they keep their addresses, and their gateways become those of the VRF
             * @default []
             */
            members?: string[];
            /** @description Number of its routing table in the kernel; 253 to 255 are the kernel's own */
            table: number;
        };
    };
    responses: {
        /** @description `bad-input`: The request is not valid */
        Problem400: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `unauthenticated`: Log in first. `second-factor-required`: A second factor is wanted */
        Problem401: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                "WWW-Authenticate": components["headers"]["WwwAuthenticate"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `forbidden`: Not allowed */
        Problem403: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `not-found`: There is no such object */
        Problem404: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `exists`: The object exists already. `in-use`: It is in use. `address-taken`: Another host has the address. `ambiguous`: Several would fit: say which. `awaiting-confirmation`: Another change awaits its confirmation. `key-in-use`: The Idempotency-Key is in use. `too-many-jobs`: Too many jobs wait already. `unended`: The job has not ended. `incompatible`: A newer system wrote it */
        Problem409: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `stale`: The object changed since it was read */
        Problem412: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `too-large`: The request is too large */
        Problem413: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `unsupported-type`: The request has a media type that is not understood */
        Problem415: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `invalid-configuration`: The configuration is not valid. `bad-backup`: The backup cannot be used. `key-reused`: The Idempotency-Key was used for another request */
        Problem422: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `too-many-requests`: Too many requests */
        Problem429: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `command-failed`: A command failed. `corrupt`: Stored data is damaged. `internal`: Internal error */
        Problem500: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `apply-failed`: The change could not be applied and was taken back */
        Problem502: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `not-ready`: The appliance is not ready */
        Problem503: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `disk-full`: The disk is full, and nothing was changed */
        Problem507: {
            headers: {
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: {
        /**
         * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
         * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
         */
        IdempotencyKey: string;
        /**
         * @description The ETag that was read: a stale change is refused with 412
         * @example "0wlXyjwLTHQqvGrJnQjpmA"
         */
        IfMatch: string;
        /**
         * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
         * @example *
         */
        IfNoneMatch: string;
        /**
         * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
         * @example deploy-4711
         */
        RequestId: string;
    };
    requestBodies: never;
    headers: {
        /** @description When the change goes back unless it is confirmed (RFC 3339) */
        ConfirmBefore: string;
        /** @description Tag of the object's content, for If-Match and If-None-Match */
        ETag: string;
        /** @description The generation of the configuration that is current now */
        Generation: number;
        /** @description The first, previous, next and last page (RFC 8288) */
        Link: string;
        /** @description Where the new object is */
        Location: string;
        /** @description true: the answer to an earlier request with the same Idempotency-Key */
        Replayed: string;
        /** @description The request's own id, or the one it was sent with; also in the log */
        RequestId: string;
        /** @description Seconds to wait (RFC 9110) */
        RetryAfter: number;
        /** @description JSON in ASCII: [{path, message}], at most 20; left out when there are none */
        Warnings: string;
        /** @description How to authenticate (RFC 9110) */
        WwwAuthenticate: string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    listApiKeys: {
        parameters: {
            query?: {
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Objects to leave out from the beginning */
                offset?: number;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "id": "k7mq2xwp",
                     *           "description": "nightly report",
                     *           "owner": "anna",
                     *           "roles": [
                     *             "read-only"
                     *           ],
                     *           "networks": [
                     *             "192.0.2.0/24"
                     *           ],
                     *           "created": "2026-01-01T08:00:00.000Z",
                     *           "expires": "2027-01-01T00:00:00.000Z"
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["ShownApiKey"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createApiKey: {
        parameters: {
            query?: {
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "description": "nightly report",
                 *       "roles": [
                 *         "read-only"
                 *       ],
                 *       "networks": [
                 *         "192.0.2.0/24"
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["NewApiKeyInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "k7mq2xwp",
                     *       "description": "nightly report",
                     *       "owner": "anna",
                     *       "roles": [
                     *         "read-only"
                     *       ],
                     *       "networks": [
                     *         "192.0.2.0/24"
                     *       ],
                     *       "created": "2026-01-01T08:00:00.000Z",
                     *       "expires": "2027-01-01T00:00:00.000Z",
                     *       "key": "sty_k7mq2xwp_b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4"
                     *     }
                     */
                    "application/json": components["schemas"]["MadeApiKey"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getApiKey: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description Id of the key */
                key: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "k7mq2xwp",
                     *       "description": "nightly report",
                     *       "owner": "anna",
                     *       "roles": [
                     *         "read-only"
                     *       ],
                     *       "networks": [
                     *         "192.0.2.0/24"
                     *       ],
                     *       "created": "2026-01-01T08:00:00.000Z",
                     *       "expires": "2027-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["ShownApiKey"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    deleteApiKey: {
        parameters: {
            query?: {
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description Id of the key */
                key: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    listAuditRecords: {
        parameters: {
            query?: {
                /** @description Only records before this one: the next of the page before */
                before?: number;
                /** @description jsonl: every record, oldest first, as its line stands in the log */
                format?: "json" | "jsonl";
                /** @description Not before this time (RFC 3339) */
                from?: string;
                /** @description Greatest number of records in the answer; an export has no limit */
                limit?: number;
                /** @description Only this object and those below it, such as farms/web */
                object?: string;
                /** @description Only this operation */
                operation?: string;
                /** @description Only this result */
                result?: "done" | "refused" | "failed";
                /** @description Before this time (RFC 3339) */
                to?: string;
                /** @description Only records of this user */
                user?: string;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The records: a page of them, or all as lines */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "sequence": 42,
                     *           "time": "2026-01-02T03:04:05.678Z",
                     *           "user": "admin",
                     *           "roles": [
                     *             "admin"
                     *           ],
                     *           "means": "session",
                     *           "source": "192.0.2.7",
                     *           "requestId": "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11",
                     *           "method": "DELETE",
                     *           "operation": "deleteFarm",
                     *           "object": "farms/web",
                     *           "result": "refused",
                     *           "status": 404,
                     *           "code": "not-found",
                     *           "message": "there is no farm web",
                     *           "previous": "9b3c5a1f0d7e6c2b8a4f9e3d1c5b7a0f6e2d8c4b9a3f7e1d5c0b6a2f8e4d9c37",
                     *           "hash": "41d0a7c3f9e2b8d5a1c6f0e3b7d9a2c5f8e1b4d6a0c3f7e9b2d5a8c1f4e6b035"
                     *         }
                     *       ],
                     *       "next": 42
                     *     }
                     */
                    "application/json": components["schemas"]["AuditPage"];
                    /** @example {"sequence":1,"user":"admin"} */
                    "application/jsonl": string;
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listAuditTargets: {
        parameters: {
            query?: {
                /** @description Only those whose caCertificates is this (any characters stand in for *); several times: one of these */
                caCertificates?: string | string[];
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only those whose enabled is this (true or false); several times: one of these */
                enabled?: string | string[];
                /** @description Only those whose enterpriseNumber is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                enterpriseNumber?: string | string[];
                /** @description Only those whose facility is this (any characters stand in for *); several times: one of these */
                facility?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, description, enabled, host, port, transport, caCertificates, pinnedCertificates, serverName, facility, format, enterpriseNumber, maxBytes */
                fields?: string;
                /** @description Only those whose format is this (any characters stand in for *); several times: one of these */
                format?: string | string[];
                /** @description Only those whose host is this (any characters stand in for *); several times: one of these */
                host?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose maxBytes is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                maxBytes?: string | string[];
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose pinnedCertificates is this (any characters stand in for *); several times: one of these */
                pinnedCertificates?: string | string[];
                /** @description Only those whose port is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                port?: string | string[];
                /** @description Only those whose serverName is this (any characters stand in for *); several times: one of these */
                serverName?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose transport is this (any characters stand in for *); several times: one of these */
                transport?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "siem",
                     *           "host": "siem.example.com",
                     *           "transport": "tls",
                     *           "facility": "audit",
                     *           "description": "",
                     *           "enabled": true,
                     *           "pinnedCertificates": [],
                     *           "format": "json",
                     *           "enterpriseNumber": 32473,
                     *           "maxBytes": 8192
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedAuditTarget"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createAuditTarget: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "siem",
                 *       "host": "siem.example.com",
                 *       "transport": "tls",
                 *       "facility": "audit"
                 *     }
                 */
                "application/json": components["schemas"]["NamedAuditTargetInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "siem",
                     *       "host": "siem.example.com",
                     *       "transport": "tls",
                     *       "facility": "audit",
                     *       "description": "",
                     *       "enabled": true,
                     *       "pinnedCertificates": [],
                     *       "format": "json",
                     *       "enterpriseNumber": 32473,
                     *       "maxBytes": 8192
                     *     }
                     */
                    "application/json": components["schemas"]["NamedAuditTarget"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getAuditTarget: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the audit target
                 * @example web
                 */
                target: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "siem",
                     *       "host": "siem.example.com",
                     *       "transport": "tls",
                     *       "facility": "audit",
                     *       "description": "",
                     *       "enabled": true,
                     *       "pinnedCertificates": [],
                     *       "format": "json",
                     *       "enterpriseNumber": 32473,
                     *       "maxBytes": 8192
                     *     }
                     */
                    "application/json": components["schemas"]["NamedAuditTarget"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putAuditTarget: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the audit target
                 * @example web
                 */
                target: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "host": "siem.example.com",
                 *       "transport": "tls",
                 *       "facility": "audit"
                 *     }
                 */
                "application/json": components["schemas"]["AuditTargetReplacementInput"];
            };
        };
        responses: {
            /** @description The audit target; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "siem",
                     *       "host": "siem.example.com",
                     *       "transport": "tls",
                     *       "facility": "audit",
                     *       "description": "",
                     *       "enabled": true,
                     *       "pinnedCertificates": [],
                     *       "format": "json",
                     *       "enterpriseNumber": 32473,
                     *       "maxBytes": 8192
                     *     }
                     */
                    "application/json": components["schemas"]["NamedAuditTarget"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "siem",
                     *       "host": "siem.example.com",
                     *       "transport": "tls",
                     *       "facility": "audit",
                     *       "description": "",
                     *       "enabled": true,
                     *       "pinnedCertificates": [],
                     *       "format": "json",
                     *       "enterpriseNumber": 32473,
                     *       "maxBytes": 8192
                     *     }
                     */
                    "application/json": components["schemas"]["NamedAuditTarget"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteAuditTarget: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the audit target
                 * @example web
                 */
                target: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchAuditTarget: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the audit target
                 * @example web
                 */
                target: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The audit target; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "siem",
                     *       "host": "siem.example.com",
                     *       "transport": "tls",
                     *       "facility": "audit",
                     *       "description": "",
                     *       "enabled": true,
                     *       "pinnedCertificates": [],
                     *       "format": "json",
                     *       "enterpriseNumber": 32473,
                     *       "maxBytes": 8192
                     *     }
                     */
                    "application/json": components["schemas"]["NamedAuditTarget"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getAuditTargetStatus: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the audit target
                 * @example web
                 */
                target: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "state": "connected",
                     *       "sequence": 42,
                     *       "queued": 0,
                     *       "sent": 7,
                     *       "lost": 0,
                     *       "error": ""
                     *     }
                     */
                    "application/json": components["schemas"]["AuditTargetStatus"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    verifyAuditLog: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "whole": true,
                     *       "records": 42,
                     *       "first": 1,
                     *       "last": 42,
                     *       "hash": "41d0a7c3f9e2b8d5a1c6f0e3b7d9a2c5f8e1b4d6a0c3f7e9b2d5a8c1f4e6b035"
                     *     }
                     */
                    "application/json": components["schemas"]["AuditReport"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listDirectories: {
        parameters: {
            query?: {
                /** @description Only those whose allowUnencrypted is this (true or false); several times: one of these */
                allowUnencrypted?: string | string[];
                /** @description Only those whose baseDn is this (any characters stand in for *); several times: one of these */
                baseDn?: string | string[];
                /** @description Only those whose bindDn is this (any characters stand in for *); several times: one of these */
                bindDn?: string | string[];
                /** @description Only those whose caCertificates is this (any characters stand in for *); several times: one of these */
                caCertificates?: string | string[];
                /** @description Only those whose defaultRoles is this (any characters stand in for *); several times: one of these */
                defaultRoles?: string | string[];
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only those whose enabled is this (true or false); several times: one of these */
                enabled?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, description, enabled, order, servers, allowUnencrypted, caCertificates, pinnedCertificates, serverName, bindDn, userTemplate, baseDn, userFilter, groupLookup, groupBaseDn, groupFilter, nestedGroups, groupRoles, defaultRoles, timeoutSeconds, recheckMinutes, graceMinutes */
                fields?: string;
                /** @description Only those whose graceMinutes is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                graceMinutes?: string | string[];
                /** @description Only those whose groupBaseDn is this (any characters stand in for *); several times: one of these */
                groupBaseDn?: string | string[];
                /** @description Only those whose groupFilter is this (any characters stand in for *); several times: one of these */
                groupFilter?: string | string[];
                /** @description Only those whose groupLookup is this (any characters stand in for *); several times: one of these */
                groupLookup?: string | string[];
                /** @description Only those whose groupRoles.group is this (any characters stand in for *); several times: one of these */
                "groupRoles.group"?: string | string[];
                /** @description Only those whose groupRoles.roles is this (any characters stand in for *); several times: one of these */
                "groupRoles.roles"?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Only those whose nestedGroups is this (true or false); several times: one of these */
                nestedGroups?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose order is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                order?: string | string[];
                /** @description Only those whose pinnedCertificates is this (any characters stand in for *); several times: one of these */
                pinnedCertificates?: string | string[];
                /** @description Only those whose recheckMinutes is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                recheckMinutes?: string | string[];
                /** @description Only those whose serverName is this (any characters stand in for *); several times: one of these */
                serverName?: string | string[];
                /** @description Only those whose servers is this (any characters stand in for *); several times: one of these */
                servers?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose timeoutSeconds is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                timeoutSeconds?: string | string[];
                /** @description Only those whose userFilter is this (any characters stand in for *); several times: one of these */
                userFilter?: string | string[];
                /** @description Only those whose userTemplate is this (any characters stand in for *); several times: one of these */
                userTemplate?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "corp",
                     *           "servers": [
                     *             "ldaps://ldap1.example.com",
                     *             "ldaps://ldap2.example.com"
                     *           ],
                     *           "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
                     *           "baseDn": "dc=example,dc=com",
                     *           "userFilter": "(uid={user})",
                     *           "groupRoles": [
                     *             {
                     *               "group": "cn=network,ou=groups,dc=example,dc=com",
                     *               "roles": [
                     *                 "operator"
                     *               ]
                     *             }
                     *           ],
                     *           "description": "",
                     *           "enabled": true,
                     *           "order": 100,
                     *           "allowUnencrypted": false,
                     *           "pinnedCertificates": [],
                     *           "groupLookup": "memberOf",
                     *           "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
                     *           "nestedGroups": false,
                     *           "defaultRoles": [],
                     *           "timeoutSeconds": 5,
                     *           "recheckMinutes": 5,
                     *           "graceMinutes": 60
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedDirectory"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createDirectory: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "corp",
                 *       "servers": [
                 *         "ldaps://ldap1.example.com",
                 *         "ldaps://ldap2.example.com"
                 *       ],
                 *       "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
                 *       "baseDn": "dc=example,dc=com",
                 *       "userFilter": "(uid={user})",
                 *       "groupRoles": [
                 *         {
                 *           "group": "cn=network,ou=groups,dc=example,dc=com",
                 *           "roles": [
                 *             "operator"
                 *           ]
                 *         }
                 *       ],
                 *       "bindPassword": "a password of its own"
                 *     }
                 */
                "application/json": components["schemas"]["NewDirectoryInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "corp",
                     *       "servers": [
                     *         "ldaps://ldap1.example.com",
                     *         "ldaps://ldap2.example.com"
                     *       ],
                     *       "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
                     *       "baseDn": "dc=example,dc=com",
                     *       "userFilter": "(uid={user})",
                     *       "groupRoles": [
                     *         {
                     *           "group": "cn=network,ou=groups,dc=example,dc=com",
                     *           "roles": [
                     *             "operator"
                     *           ]
                     *         }
                     *       ],
                     *       "description": "",
                     *       "enabled": true,
                     *       "order": 100,
                     *       "allowUnencrypted": false,
                     *       "pinnedCertificates": [],
                     *       "groupLookup": "memberOf",
                     *       "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
                     *       "nestedGroups": false,
                     *       "defaultRoles": [],
                     *       "timeoutSeconds": 5,
                     *       "recheckMinutes": 5,
                     *       "graceMinutes": 60
                     *     }
                     */
                    "application/json": components["schemas"]["NamedDirectory"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getDirectory: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the directory
                 * @example web
                 */
                directory: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "corp",
                     *       "servers": [
                     *         "ldaps://ldap1.example.com",
                     *         "ldaps://ldap2.example.com"
                     *       ],
                     *       "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
                     *       "baseDn": "dc=example,dc=com",
                     *       "userFilter": "(uid={user})",
                     *       "groupRoles": [
                     *         {
                     *           "group": "cn=network,ou=groups,dc=example,dc=com",
                     *           "roles": [
                     *             "operator"
                     *           ]
                     *         }
                     *       ],
                     *       "description": "",
                     *       "enabled": true,
                     *       "order": 100,
                     *       "allowUnencrypted": false,
                     *       "pinnedCertificates": [],
                     *       "groupLookup": "memberOf",
                     *       "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
                     *       "nestedGroups": false,
                     *       "defaultRoles": [],
                     *       "timeoutSeconds": 5,
                     *       "recheckMinutes": 5,
                     *       "graceMinutes": 60
                     *     }
                     */
                    "application/json": components["schemas"]["NamedDirectory"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putDirectory: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the directory
                 * @example web
                 */
                directory: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "servers": [
                 *         "ldaps://ldap1.example.com",
                 *         "ldaps://ldap2.example.com"
                 *       ],
                 *       "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
                 *       "baseDn": "dc=example,dc=com",
                 *       "userFilter": "(uid={user})",
                 *       "groupRoles": [
                 *         {
                 *           "group": "cn=network,ou=groups,dc=example,dc=com",
                 *           "roles": [
                 *             "operator"
                 *           ]
                 *         }
                 *       ],
                 *       "bindPassword": "a password of its own"
                 *     }
                 */
                "application/json": components["schemas"]["DirectoryReplacementInput"];
            };
        };
        responses: {
            /** @description The directory; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "corp",
                     *       "servers": [
                     *         "ldaps://ldap1.example.com",
                     *         "ldaps://ldap2.example.com"
                     *       ],
                     *       "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
                     *       "baseDn": "dc=example,dc=com",
                     *       "userFilter": "(uid={user})",
                     *       "groupRoles": [
                     *         {
                     *           "group": "cn=network,ou=groups,dc=example,dc=com",
                     *           "roles": [
                     *             "operator"
                     *           ]
                     *         }
                     *       ],
                     *       "description": "",
                     *       "enabled": true,
                     *       "order": 100,
                     *       "allowUnencrypted": false,
                     *       "pinnedCertificates": [],
                     *       "groupLookup": "memberOf",
                     *       "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
                     *       "nestedGroups": false,
                     *       "defaultRoles": [],
                     *       "timeoutSeconds": 5,
                     *       "recheckMinutes": 5,
                     *       "graceMinutes": 60
                     *     }
                     */
                    "application/json": components["schemas"]["NamedDirectory"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "corp",
                     *       "servers": [
                     *         "ldaps://ldap1.example.com",
                     *         "ldaps://ldap2.example.com"
                     *       ],
                     *       "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
                     *       "baseDn": "dc=example,dc=com",
                     *       "userFilter": "(uid={user})",
                     *       "groupRoles": [
                     *         {
                     *           "group": "cn=network,ou=groups,dc=example,dc=com",
                     *           "roles": [
                     *             "operator"
                     *           ]
                     *         }
                     *       ],
                     *       "description": "",
                     *       "enabled": true,
                     *       "order": 100,
                     *       "allowUnencrypted": false,
                     *       "pinnedCertificates": [],
                     *       "groupLookup": "memberOf",
                     *       "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
                     *       "nestedGroups": false,
                     *       "defaultRoles": [],
                     *       "timeoutSeconds": 5,
                     *       "recheckMinutes": 5,
                     *       "graceMinutes": 60
                     *     }
                     */
                    "application/json": components["schemas"]["NamedDirectory"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteDirectory: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the directory
                 * @example web
                 */
                directory: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchDirectory: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the directory
                 * @example web
                 */
                directory: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The directory; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "corp",
                     *       "servers": [
                     *         "ldaps://ldap1.example.com",
                     *         "ldaps://ldap2.example.com"
                     *       ],
                     *       "bindDn": "cn=steelyard,ou=services,dc=example,dc=com",
                     *       "baseDn": "dc=example,dc=com",
                     *       "userFilter": "(uid={user})",
                     *       "groupRoles": [
                     *         {
                     *           "group": "cn=network,ou=groups,dc=example,dc=com",
                     *           "roles": [
                     *             "operator"
                     *           ]
                     *         }
                     *       ],
                     *       "description": "",
                     *       "enabled": true,
                     *       "order": 100,
                     *       "allowUnencrypted": false,
                     *       "pinnedCertificates": [],
                     *       "groupLookup": "memberOf",
                     *       "groupFilter": "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
                     *       "nestedGroups": false,
                     *       "defaultRoles": [],
                     *       "timeoutSeconds": 5,
                     *       "recheckMinutes": 5,
                     *       "graceMinutes": 60
                     *     }
                     */
                    "application/json": components["schemas"]["NamedDirectory"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    testDirectory: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the directory
                 * @example web
                 */
                directory: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "user": "anna",
                 *       "password": "correct horse battery"
                 *     }
                 */
                "application/json": components["schemas"]["DirectoryCredentialsInput"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "accepted": true,
                     *       "reason": "uid=anna,ou=people,dc=example,dc=com holds operator",
                     *       "steps": [
                     *         {
                     *           "step": "connect",
                     *           "server": "ldaps://ldap1.example.com",
                     *           "ok": true,
                     *           "detail": "ldap1.example.com:636"
                     *         },
                     *         {
                     *           "step": "roles",
                     *           "server": "ldaps://ldap1.example.com",
                     *           "ok": true,
                     *           "detail": "operator"
                     *         }
                     *       ],
                     *       "roles": [
                     *         "operator"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["DirectoryTest"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listGroups: {
        parameters: {
            query?: {
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, description, roles */
                fields?: string;
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose roles is this (any characters stand in for *); several times: one of these */
                roles?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "web-team",
                     *           "description": "Runs the shop",
                     *           "roles": [
                     *             "shop"
                     *           ]
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedGroup"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createGroup: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "web-team",
                 *       "description": "Runs the shop",
                 *       "roles": [
                 *         "shop"
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["NamedGroupInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web-team",
                     *       "description": "Runs the shop",
                     *       "roles": [
                     *         "shop"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["NamedGroup"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getGroup: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the group
                 * @example web
                 */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web-team",
                     *       "description": "Runs the shop",
                     *       "roles": [
                     *         "shop"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["NamedGroup"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putGroup: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the group
                 * @example web
                 */
                group: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "description": "Runs the shop",
                 *       "roles": [
                 *         "shop"
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["GroupReplacementInput"];
            };
        };
        responses: {
            /** @description The group; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web-team",
                     *       "description": "Runs the shop",
                     *       "roles": [
                     *         "shop"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["NamedGroup"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web-team",
                     *       "description": "Runs the shop",
                     *       "roles": [
                     *         "shop"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["NamedGroup"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteGroup: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the group
                 * @example web
                 */
                group: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchGroup: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the group
                 * @example web
                 */
                group: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The group; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web-team",
                     *       "description": "Runs the shop",
                     *       "roles": [
                     *         "shop"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["NamedGroup"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    listLockouts: {
        parameters: {
            query?: {
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Objects to leave out from the beginning */
                offset?: number;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "user": "anna",
                     *           "attempts": 14,
                     *           "until": "2026-01-01T08:00:08.000Z"
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["Lockout"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    deleteLockout: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description Name of the user */
                user: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done, whether there was a delay or not */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getCaller: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user": "anna",
                     *       "fullName": "Anna Berg",
                     *       "source": "192.0.2.20",
                     *       "means": "session",
                     *       "permissions": [
                     *         {
                     *           "permission": "farms:*",
                     *           "names": [
                     *             "shop-*"
                     *           ]
                     *         },
                     *         {
                     *           "permission": "self:*"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["Caller"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    changeOwnPassword: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "current": "correct horse battery",
                 *       "password": "a better one than that"
                 *     }
                 */
                "application/json": components["schemas"]["PasswordChangeInput"];
            };
        };
        responses: {
            /** @description Changed */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
        };
    };
    getOwnSecondFactor: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "enabled": true,
                     *       "recoveryCodes": 10
                     *     }
                     */
                    "application/json": components["schemas"]["SecondFactorState"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    beginSecondFactor: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
                     *       "uri": "otpauth://totp/lb1:anna?issuer=lb1&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30",
                     *       "svg": "<svg/>",
                     *       "text": "█▀▀▀▀▀█"
                     *     }
                     */
                    "application/json": components["schemas"]["SecondFactorEnrolment"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    confirmSecondFactor: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "code": "123456"
                 *     }
                 */
                "application/json": components["schemas"]["SecondFactorCodeInput"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "recoveryCodes": [
                     *         "abcd-efgh-ijkl-mnop"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["RecoveryCodes"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
        };
    };
    endSecondFactor: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "code": "123456"
                 *     }
                 */
                "application/json": components["schemas"]["SecondFactorCodeInput"];
            };
        };
        responses: {
            /** @description Ended */
            204: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
        };
    };
    renewRecoveryCodes: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "code": "123456"
                 *     }
                 */
                "application/json": components["schemas"]["SecondFactorCodeInput"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "recoveryCodes": [
                     *         "abcd-efgh-ijkl-mnop"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["RecoveryCodes"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
        };
    };
    putOwnSshKeys: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "sshKeys": [
                 *         "ssh-ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA anna"
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["OwnSshKeysInput"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "sshKeys": [
                     *         "ssh-ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA anna"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["OwnSshKeys"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
        };
    };
    listRoles: {
        parameters: {
            query?: {
                /** @description Only those whose bindings.certificates is this (any characters stand in for *); several times: one of these */
                "bindings.certificates"?: string | string[];
                /** @description Only those whose bindings.farms is this (any characters stand in for *); several times: one of these */
                "bindings.farms"?: string | string[];
                /** @description Only those whose bindings.interfaces is this (any characters stand in for *); several times: one of these */
                "bindings.interfaces"?: string | string[];
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, description, permissions, bindings */
                fields?: string;
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose permissions is this (any characters stand in for *); several times: one of these */
                permissions?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "shop",
                     *           "description": "Farms of the shop",
                     *           "permissions": [
                     *             "farms:*",
                     *             "statistics:read"
                     *           ],
                     *           "bindings": {
                     *             "farms": [
                     *               "shop-*"
                     *             ]
                     *           }
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedRole"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createRole: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "shop",
                 *       "description": "Farms of the shop",
                 *       "permissions": [
                 *         "farms:*",
                 *         "statistics:read"
                 *       ],
                 *       "bindings": {
                 *         "farms": [
                 *           "shop-*"
                 *         ]
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["NamedRoleInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "shop",
                     *       "description": "Farms of the shop",
                     *       "permissions": [
                     *         "farms:*",
                     *         "statistics:read"
                     *       ],
                     *       "bindings": {
                     *         "farms": [
                     *           "shop-*"
                     *         ]
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRole"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getRole: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the role
                 * @example web
                 */
                role: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "shop",
                     *       "description": "Farms of the shop",
                     *       "permissions": [
                     *         "farms:*",
                     *         "statistics:read"
                     *       ],
                     *       "bindings": {
                     *         "farms": [
                     *           "shop-*"
                     *         ]
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRole"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putRole: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the role
                 * @example web
                 */
                role: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "description": "Farms of the shop",
                 *       "permissions": [
                 *         "farms:*",
                 *         "statistics:read"
                 *       ],
                 *       "bindings": {
                 *         "farms": [
                 *           "shop-*"
                 *         ]
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["RoleReplacementInput"];
            };
        };
        responses: {
            /** @description The role; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "shop",
                     *       "description": "Farms of the shop",
                     *       "permissions": [
                     *         "farms:*",
                     *         "statistics:read"
                     *       ],
                     *       "bindings": {
                     *         "farms": [
                     *           "shop-*"
                     *         ]
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRole"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "shop",
                     *       "description": "Farms of the shop",
                     *       "permissions": [
                     *         "farms:*",
                     *         "statistics:read"
                     *       ],
                     *       "bindings": {
                     *         "farms": [
                     *           "shop-*"
                     *         ]
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRole"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteRole: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the role
                 * @example web
                 */
                role: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchRole: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the role
                 * @example web
                 */
                role: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The role; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "shop",
                     *       "description": "Farms of the shop",
                     *       "permissions": [
                     *         "farms:*",
                     *         "statistics:read"
                     *       ],
                     *       "bindings": {
                     *         "farms": [
                     *           "shop-*"
                     *         ]
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRole"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    listSessions: {
        parameters: {
            query?: {
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only sessions of this user */
                user?: string;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "id": "9f86d081884c7d65",
                     *           "user": "anna",
                     *           "source": "192.0.2.20",
                     *           "means": "session",
                     *           "opened": "2026-01-01T08:00:00.000Z",
                     *           "used": "2026-01-01T08:10:00.000Z",
                     *           "expires": "2026-01-01T20:00:00.000Z",
                     *           "current": true
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["OpenSession"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    revokeSessions: {
        parameters: {
            query?: {
                /** @description Left out, the caller */
                user?: string;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "ended": 1
                     *     }
                     */
                    "application/json": {
                        /** @description How many */
                        ended: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    revokeSession: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description Id of the session */
                session: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Ended */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getAccessSettings: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "sessions": {
                     *         "idleMinutes": 30,
                     *         "absoluteMinutes": 720
                     *       },
                     *       "secondFactor": {
                     *         "roles": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["AccessSettings"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putAccessSettings: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "sessions": {},
                 *       "secondFactor": {}
                 *     }
                 */
                "application/json": components["schemas"]["AccessSettingsInput"];
            };
        };
        responses: {
            /** @description The settings; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "sessions": {
                     *         "idleMinutes": 30,
                     *         "absoluteMinutes": 720
                     *       },
                     *       "secondFactor": {
                     *         "roles": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["AccessSettings"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchAccessSettings: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The settings; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "sessions": {
                     *         "idleMinutes": 30,
                     *         "absoluteMinutes": 720
                     *       },
                     *       "secondFactor": {
                     *         "roles": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["AccessSettings"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    listUsers: {
        parameters: {
            query?: {
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only those whose disabled is this (true or false); several times: one of these */
                disabled?: string | string[];
                /** @description Only those whose expires is this (any characters stand in for *); several times: one of these */
                expires?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, fullName, description, source, groups, roles, sshKeys, disabled, expires */
                fields?: string;
                /** @description Only those whose fullName is this (any characters stand in for *); several times: one of these */
                fullName?: string | string[];
                /** @description Only those whose groups is this (any characters stand in for *); several times: one of these */
                groups?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose roles is this (any characters stand in for *); several times: one of these */
                roles?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose source is this (any characters stand in for *); several times: one of these */
                source?: string | string[];
                /** @description Only those whose sshKeys is this (any characters stand in for *); several times: one of these */
                sshKeys?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "anna",
                     *           "fullName": "Anna Berg",
                     *           "roles": [
                     *             "operator"
                     *           ],
                     *           "description": "",
                     *           "source": "local",
                     *           "groups": [],
                     *           "sshKeys": [],
                     *           "disabled": false
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedUser"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createUser: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "anna",
                 *       "fullName": "Anna Berg",
                 *       "roles": [
                 *         "operator"
                 *       ],
                 *       "password": "correct horse battery"
                 *     }
                 */
                "application/json": components["schemas"]["NewUserInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "anna",
                     *       "fullName": "Anna Berg",
                     *       "roles": [
                     *         "operator"
                     *       ],
                     *       "description": "",
                     *       "source": "local",
                     *       "groups": [],
                     *       "sshKeys": [],
                     *       "disabled": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUser"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getUser: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the user
                 * @example anna
                 */
                user: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "anna",
                     *       "fullName": "Anna Berg",
                     *       "roles": [
                     *         "operator"
                     *       ],
                     *       "description": "",
                     *       "source": "local",
                     *       "groups": [],
                     *       "sshKeys": [],
                     *       "disabled": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUser"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putUser: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the user
                 * @example anna
                 */
                user: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "fullName": "Anna Berg",
                 *       "roles": [
                 *         "operator"
                 *       ],
                 *       "password": "correct horse battery"
                 *     }
                 */
                "application/json": components["schemas"]["UserReplacementInput"];
            };
        };
        responses: {
            /** @description The user; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "anna",
                     *       "fullName": "Anna Berg",
                     *       "roles": [
                     *         "operator"
                     *       ],
                     *       "description": "",
                     *       "source": "local",
                     *       "groups": [],
                     *       "sshKeys": [],
                     *       "disabled": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUser"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "anna",
                     *       "fullName": "Anna Berg",
                     *       "roles": [
                     *         "operator"
                     *       ],
                     *       "description": "",
                     *       "source": "local",
                     *       "groups": [],
                     *       "sshKeys": [],
                     *       "disabled": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUser"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteUser: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the user
                 * @example anna
                 */
                user: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchUser: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the user
                 * @example anna
                 */
                user: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The user; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "anna",
                     *       "fullName": "Anna Berg",
                     *       "roles": [
                     *         "operator"
                     *       ],
                     *       "description": "",
                     *       "source": "local",
                     *       "groups": [],
                     *       "sshKeys": [],
                     *       "disabled": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUser"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    resetSecondFactor: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the user
                 * @example anna
                 */
                user: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Ended */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
        };
    };
    listCertificates: {
        parameters: {
            query?: {
                /** @description Only those whose certificate is this (any characters stand in for *); several times: one of these */
                certificate?: string | string[];
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, description, certificate, request */
                fields?: string;
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose request is this (any characters stand in for *); several times: one of these */
                request?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "management",
                     *           "description": "signed by our own authority",
                     *           "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedCertificate"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createCertificate: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "management",
                 *       "description": "signed by our own authority",
                 *       "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n",
                 *       "key": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49Ag==\n-----END PRIVATE KEY-----\n"
                 *     }
                 */
                "application/json": components["schemas"]["NewCertificateInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "management",
                     *       "description": "signed by our own authority",
                     *       "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedCertificate"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getCertificate: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the certificate
                 * @example web
                 */
                certificate: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "management",
                     *       "description": "signed by our own authority",
                     *       "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedCertificate"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putCertificate: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the certificate
                 * @example web
                 */
                certificate: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "description": "signed by our own authority",
                 *       "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n",
                 *       "key": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49Ag==\n-----END PRIVATE KEY-----\n"
                 *     }
                 */
                "application/json": components["schemas"]["CertificateReplacementInput"];
            };
        };
        responses: {
            /** @description The certificate; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "management",
                     *       "description": "signed by our own authority",
                     *       "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedCertificate"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "management",
                     *       "description": "signed by our own authority",
                     *       "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedCertificate"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteCertificate: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the certificate
                 * @example web
                 */
                certificate: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchCertificate: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the certificate
                 * @example web
                 */
                certificate: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The certificate; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "management",
                     *       "description": "signed by our own authority",
                     *       "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedCertificate"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    requestCertificate: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the certificate
                 * @example web
                 */
                certificate: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "names": [
                 *         "lb1.example.com",
                 *         "192.0.2.5"
                 *       ],
                 *       "keyType": "ecdsa-p256"
                 *     }
                 */
                "application/json": components["schemas"]["CertificateRequestInput"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "management",
                     *       "description": "",
                     *       "request": "-----BEGIN CERTIFICATE REQUEST-----\nMIHeMIGFAgEAMBQxEjAQBg==\n-----END CERTIFICATE REQUEST-----\n"
                     *     }
                     */
                    "application/json": components["schemas"]["RequestedCertificate"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getCertificateStatus: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the certificate
                 * @example web
                 */
                certificate: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "management",
                     *       "state": "valid",
                     *       "uses": [
                     *         "system.management"
                     *       ],
                     *       "subject": "CN=lb1.example.com",
                     *       "issuer": "O=Example, CN=Example authority 1",
                     *       "names": [
                     *         "lb1.example.com"
                     *       ],
                     *       "notBefore": "2026-01-01T00:00:00.000Z",
                     *       "notAfter": "2026-04-01T00:00:00.000Z",
                     *       "daysLeft": 89,
                     *       "key": "ECDSA P-256",
                     *       "signature": "ECDSA with SHA-256",
                     *       "fingerprint": "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB",
                     *       "selfSigned": false
                     *     }
                     */
                    "application/json": components["schemas"]["CertificateStatus"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getConfiguration: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "system": {
                     *         "hostname": "steelyard",
                     *         "dns": {
                     *           "servers": [],
                     *           "search": [],
                     *           "dnssec": "no",
                     *           "overTls": "no"
                     *         },
                     *         "ntp": {
                     *           "servers": []
                     *         },
                     *         "timeZone": "UTC",
                     *         "hosts": [],
                     *         "proxy": {
                     *           "bypass": []
                     *         },
                     *         "management": {
                     *           "interfaces": [],
                     *           "port": 444
                     *         },
                     *         "lldp": "receive",
                     *         "unconfiguredCards": "down",
                     *         "console": {
                     *           "passwordReset": true
                     *         },
                     *         "ssh": {
                     *           "enabled": false,
                     *           "port": 22,
                     *           "passwordAuthentication": false
                     *         }
                     *       },
                     *       "interfaces": {},
                     *       "virtualAddresses": {},
                     *       "routingTables": {},
                     *       "routingRules": {},
                     *       "routingRoutes": {},
                     *       "uplinkFarms": {},
                     *       "farms": {},
                     *       "certificates": {},
                     *       "access": {
                     *         "sessions": {
                     *           "idleMinutes": 30,
                     *           "absoluteMinutes": 720
                     *         },
                     *         "secondFactor": {
                     *           "roles": []
                     *         }
                     *       },
                     *       "users": {
                     *         "admin": {
                     *           "fullName": "",
                     *           "description": "",
                     *           "source": "local",
                     *           "groups": [],
                     *           "roles": [
                     *             "admin"
                     *           ],
                     *           "sshKeys": [],
                     *           "disabled": false
                     *         }
                     *       },
                     *       "groups": {},
                     *       "roles": {},
                     *       "apiKeys": {},
                     *       "backups": {
                     *         "enabled": false,
                     *         "time": "03:00",
                     *         "days": [],
                     *         "keep": 7,
                     *         "recipients": [],
                     *         "identity": true,
                     *         "history": false
                     *       },
                     *       "directories": {},
                     *       "auditTargets": {}
                     *     }
                     */
                    "application/json": components["schemas"]["Configuration"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    confirmConfiguration: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "generation": 7
                 *     }
                 */
                "application/json": {
                    /** @description The one that is meant; refused when another is pending */
                    generation?: number;
                };
            };
        };
        responses: {
            /** @description What was confirmed */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 8,
                     *       "parent": 7,
                     *       "author": "admin",
                     *       "source": "192.0.2.7",
                     *       "message": "change interface nic0",
                     *       "time": "2026-01-02T03:04:05.000Z",
                     *       "deadline": "2026-01-02T03:09:05.000Z",
                     *       "reasons": [
                     *         "the interface nic0 is used for management"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["PendingCommit"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    diffGenerations: {
        parameters: {
            query?: {
                /**
                 * @description Left out, the parent of to; 0 is the empty configuration
                 * @example 7
                 */
                from?: number;
                /**
                 * @description Left out, the current generation
                 * @example 7
                 */
                to?: number;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "from": 1,
                     *       "to": 1,
                     *       "differences": [
                     *         {
                     *           "object": "farms/web",
                     *           "change": "changed",
                     *           "text": "@@ -4,1 +4,1 @@\n-  - \"80\"\n+  - \"81\"\n"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": {
                        /** @description Object by object */
                        differences: components["schemas"]["Difference"][];
                        /** @description The older generation */
                        from: number;
                        /** @description The newer generation */
                        to: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listGenerations: {
        parameters: {
            query?: {
                /** @description Only those whose author is this (any characters stand in for *); several times: one of these */
                author?: string | string[];
                /** @description Only those whose compatible is this (true or false); several times: one of these */
                compatible?: string | string[];
                /** @description Only these fields of each object, with commas between them: generation, parent, author, source, time, message, schemaVersion, compatible */
                fields?: string;
                /** @description Only those whose generation is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                generation?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose message is this (any characters stand in for *); several times: one of these */
                message?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose parent is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                parent?: string | string[];
                /** @description Only those whose schemaVersion is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                schemaVersion?: string | string[];
                /** @description Fields with commas between them, - before one for descending order */
                sort?: string;
                /** @description Only those whose source is this (any characters stand in for *); several times: one of these */
                source?: string | string[];
                /** @description Only those whose time is this (any characters stand in for *); several times: one of these */
                time?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "generation": 7,
                     *           "parent": 6,
                     *           "author": "admin",
                     *           "source": "192.0.2.20",
                     *           "time": "2026-01-01T12:00:00.000Z",
                     *           "message": "create farm web",
                     *           "schemaVersion": 2,
                     *           "compatible": true
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["Generation"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getGeneration: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Number of the generation
                 * @example 7
                 */
                generation: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "parent": 6,
                     *       "author": "admin",
                     *       "source": "192.0.2.20",
                     *       "time": "2026-01-01T12:00:00.000Z",
                     *       "message": "create farm web",
                     *       "schemaVersion": 2,
                     *       "compatible": true,
                     *       "configuration": {
                     *         "system": {
                     *           "hostname": "steelyard",
                     *           "dns": {
                     *             "servers": [],
                     *             "search": [],
                     *             "dnssec": "no",
                     *             "overTls": "no"
                     *           },
                     *           "ntp": {
                     *             "servers": []
                     *           },
                     *           "timeZone": "UTC",
                     *           "hosts": [],
                     *           "proxy": {
                     *             "bypass": []
                     *           },
                     *           "management": {
                     *             "interfaces": [],
                     *             "port": 444
                     *           },
                     *           "lldp": "receive",
                     *           "unconfiguredCards": "down",
                     *           "console": {
                     *             "passwordReset": true
                     *           },
                     *           "ssh": {
                     *             "enabled": false,
                     *             "port": 22,
                     *             "passwordAuthentication": false
                     *           }
                     *         },
                     *         "interfaces": {},
                     *         "virtualAddresses": {},
                     *         "routingTables": {},
                     *         "routingRules": {},
                     *         "routingRoutes": {},
                     *         "uplinkFarms": {},
                     *         "farms": {},
                     *         "certificates": {},
                     *         "access": {
                     *           "sessions": {
                     *             "idleMinutes": 30,
                     *             "absoluteMinutes": 720
                     *           },
                     *           "secondFactor": {
                     *             "roles": []
                     *           }
                     *         },
                     *         "users": {
                     *           "admin": {
                     *             "fullName": "",
                     *             "description": "",
                     *             "source": "local",
                     *             "groups": [],
                     *             "roles": [
                     *               "admin"
                     *             ],
                     *             "sshKeys": [],
                     *             "disabled": false
                     *           }
                     *         },
                     *         "groups": {},
                     *         "roles": {},
                     *         "apiKeys": {},
                     *         "backups": {
                     *           "enabled": false,
                     *           "time": "03:00",
                     *           "days": [],
                     *           "keep": 7,
                     *           "recipients": [],
                     *           "identity": true,
                     *           "history": false
                     *         },
                     *         "directories": {},
                     *         "auditTargets": {}
                     *       }
                     *     }
                     */
                    "application/json": {
                        /** @description The user who made it */
                        author: string;
                        /** @description false: a newer system wrote it, and this one can neither read nor restore it */
                        compatible: boolean;
                        configuration: components["schemas"]["Configuration"];
                        /** @description Its number; they are counted up */
                        generation: number;
                        /** @description What was done */
                        message: string;
                        /** @description The generation it was made from; 0 for the first */
                        parent: number;
                        /** @description Of the format its objects are kept in */
                        schemaVersion: number;
                        /** @description Address of the client, or local, console, answer-file, boot */
                        source: string;
                        /**
                         * Format: date-time
                         * @description When it was made, UTC
                         */
                        time: string;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    importZevenet: {
        parameters: {
            query?: {
                /** @description true: take it; otherwise nothing changes and the answer says what would */
                commit?: "true" | "false";
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
                /** @description keep: the addresses of this box's own interfaces stay, as while the old box is still there */
                interfaces?: "take" | "keep";
                /**
                 * @description Interface of the backup and the one that takes its place here, such as eth0:nic0 (repeatable)
                 * @example [
                 *       "eth0:nic0"
                 *     ]
                 */
                map?: string | string[];
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description backup-<name>.tar.gz as the old box made it */
        requestBody: {
            content: {
                /** @example (the bytes of the file) */
                "application/gzip": string;
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "product": "zevenet",
                     *       "version": "5.0.2",
                     *       "committed": false,
                     *       "summary": {
                     *         "taken": 0,
                     *         "changed": 1,
                     *         "notSupported": 0
                     *       },
                     *       "report": [
                     *         {
                     *           "kind": "l4xnat farm",
                     *           "name": "Web",
                     *           "source": "usr/local/zevenet/config/Web_l4xnat.cfg",
                     *           "result": "changed",
                     *           "target": "farms.web",
                     *           "notes": [
                     *             "names here are of a-z, 0-9, - and _: Web is web"
                     *           ]
                     *         }
                     *       ],
                     *       "plan": {
                     *         "generation": 7,
                     *         "warnings": [],
                     *         "steps": [],
                     *         "confirmWithin": 0,
                     *         "reasons": []
                     *       },
                     *       "differences": []
                     *     }
                     */
                    "application/json": components["schemas"]["ImportResult"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getPendingCommit: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 8,
                     *       "parent": 7,
                     *       "author": "admin",
                     *       "source": "192.0.2.7",
                     *       "message": "change interface nic0",
                     *       "time": "2026-01-02T03:04:05.000Z",
                     *       "deadline": "2026-01-02T03:09:05.000Z",
                     *       "reasons": [
                     *         "the interface nic0 is used for management"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["PendingCommit"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    revertPendingCommit: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    rollbackConfiguration: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "generation": 6
                 *     }
                 */
                "application/json": {
                    /** @description The generation whose content is wanted back */
                    generation: number;
                };
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    verifyConfiguration: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "whole": true,
                     *       "generations": [
                     *         {
                     *           "generation": 7
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["Verification"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listUplinkFarms: {
        parameters: {
            query?: {
                /** @description Only those whose algorithm is this (any characters stand in for *); several times: one of these */
                algorithm?: string | string[];
                /** @description Only those whose box is this (true or false); several times: one of these */
                box?: string | string[];
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only those whose enabled is this (true or false); several times: one of these */
                enabled?: string | string[];
                /** @description Only those whose fall is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                fall?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, description, enabled, interfaces, sources, box, algorithm, probes, need, interval, timeout, rise, fall, return, hold, ties, uplinks */
                fields?: string;
                /** @description Only those whose hold is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                hold?: string | string[];
                /** @description Only those whose interfaces is this (any characters stand in for *); several times: one of these */
                interfaces?: string | string[];
                /** @description Only those whose interval is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                interval?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Only those whose need is this (any characters stand in for *); several times: one of these */
                need?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose probes is this (any characters stand in for *); several times: one of these */
                probes?: string | string[];
                /** @description Only those whose probes.address is this (any characters stand in for *); several times: one of these */
                "probes.address"?: string | string[];
                /** @description Only those whose probes.host is this (any characters stand in for *); several times: one of these */
                "probes.host"?: string | string[];
                /** @description Only those whose probes.name is this (any characters stand in for *); several times: one of these */
                "probes.name"?: string | string[];
                /** @description Only those whose probes.path is this (any characters stand in for *); several times: one of these */
                "probes.path"?: string | string[];
                /** @description Only those whose probes.port is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "probes.port"?: string | string[];
                /** @description Only those whose probes.status is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "probes.status"?: string | string[];
                /** @description Only those whose probes.type is this (any characters stand in for *); several times: one of these */
                "probes.type"?: string | string[];
                /** @description Only those whose return is this (any characters stand in for *); several times: one of these */
                return?: string | string[];
                /** @description Only those whose rise is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                rise?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose sources is this (any characters stand in for *); several times: one of these */
                sources?: string | string[];
                /** @description Only those whose ties.destination is this (any characters stand in for *); several times: one of these */
                "ties.destination"?: string | string[];
                /** @description Only those whose ties.farm is this (any characters stand in for *); several times: one of these */
                "ties.farm"?: string | string[];
                /** @description Only those whose ties.otherwise is this (any characters stand in for *); several times: one of these */
                "ties.otherwise"?: string | string[];
                /** @description Only those whose ties.source is this (any characters stand in for *); several times: one of these */
                "ties.source"?: string | string[];
                /** @description Only those whose ties.uplink is this (any characters stand in for *); several times: one of these */
                "ties.uplink"?: string | string[];
                /** @description Only those whose timeout is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                timeout?: string | string[];
                /** @description Only those whose uplinks is this (any characters stand in for *); several times: one of these */
                uplinks?: string | string[];
                /** @description Only those whose uplinks.description is this (any characters stand in for *); several times: one of these */
                "uplinks.description"?: string | string[];
                /** @description Only those whose uplinks.gateway is this (any characters stand in for *); several times: one of these */
                "uplinks.gateway"?: string | string[];
                /** @description Only those whose uplinks.interface is this (any characters stand in for *); several times: one of these */
                "uplinks.interface"?: string | string[];
                /** @description Only those whose uplinks.prefix.inside is this (any characters stand in for *); several times: one of these */
                "uplinks.prefix.inside"?: string | string[];
                /** @description Only those whose uplinks.prefix.outside is this (any characters stand in for *); several times: one of these */
                "uplinks.prefix.outside"?: string | string[];
                /** @description Only those whose uplinks.priority is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "uplinks.priority"?: string | string[];
                /** @description Only those whose uplinks.state is this (any characters stand in for *); several times: one of these */
                "uplinks.state"?: string | string[];
                /** @description Only those whose uplinks.translation is this (any characters stand in for *); several times: one of these */
                "uplinks.translation"?: string | string[];
                /** @description Only those whose uplinks.weight is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "uplinks.weight"?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "isp",
                     *           "interfaces": [
                     *             "nic0"
                     *           ],
                     *           "probes": {
                     *             "resolver": {
                     *               "type": "dns",
                     *               "address": "203.0.113.53",
                     *               "name": "example.com",
                     *               "path": "/"
                     *             }
                     *           },
                     *           "uplinks": {
                     *             "fibre": {
                     *               "interface": "nic1",
                     *               "gateway": "192.0.2.1",
                     *               "weight": 3,
                     *               "description": "",
                     *               "priority": 1,
                     *               "state": "up",
                     *               "translation": "masquerade"
                     *             },
                     *             "cable": {
                     *               "interface": "nic2",
                     *               "gateway": "198.51.100.1",
                     *               "description": "",
                     *               "weight": 1,
                     *               "priority": 1,
                     *               "state": "up",
                     *               "translation": "masquerade"
                     *             }
                     *           },
                     *           "description": "",
                     *           "enabled": true,
                     *           "sources": [],
                     *           "box": false,
                     *           "algorithm": "weight",
                     *           "need": "any",
                     *           "interval": 2,
                     *           "timeout": 1,
                     *           "rise": 2,
                     *           "fall": 3,
                     *           "return": "immediately",
                     *           "hold": 60,
                     *           "ties": []
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedUplinkFarm"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createUplinkFarm: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "isp",
                 *       "interfaces": [
                 *         "nic0"
                 *       ],
                 *       "probes": {
                 *         "resolver": {
                 *           "type": "dns",
                 *           "address": "203.0.113.53"
                 *         }
                 *       },
                 *       "uplinks": {
                 *         "fibre": {
                 *           "interface": "nic1",
                 *           "gateway": "192.0.2.1",
                 *           "weight": 3
                 *         },
                 *         "cable": {
                 *           "interface": "nic2",
                 *           "gateway": "198.51.100.1"
                 *         }
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["NamedUplinkFarmInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "isp",
                     *       "interfaces": [
                     *         "nic0"
                     *       ],
                     *       "probes": {
                     *         "resolver": {
                     *           "type": "dns",
                     *           "address": "203.0.113.53",
                     *           "name": "example.com",
                     *           "path": "/"
                     *         }
                     *       },
                     *       "uplinks": {
                     *         "fibre": {
                     *           "interface": "nic1",
                     *           "gateway": "192.0.2.1",
                     *           "weight": 3,
                     *           "description": "",
                     *           "priority": 1,
                     *           "state": "up",
                     *           "translation": "masquerade"
                     *         },
                     *         "cable": {
                     *           "interface": "nic2",
                     *           "gateway": "198.51.100.1",
                     *           "description": "",
                     *           "weight": 1,
                     *           "priority": 1,
                     *           "state": "up",
                     *           "translation": "masquerade"
                     *         }
                     *       },
                     *       "description": "",
                     *       "enabled": true,
                     *       "sources": [],
                     *       "box": false,
                     *       "algorithm": "weight",
                     *       "need": "any",
                     *       "interval": 2,
                     *       "timeout": 1,
                     *       "rise": 2,
                     *       "fall": 3,
                     *       "return": "immediately",
                     *       "hold": 60,
                     *       "ties": []
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUplinkFarm"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getUplinkFarm: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the uplink farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "isp",
                     *       "interfaces": [
                     *         "nic0"
                     *       ],
                     *       "probes": {
                     *         "resolver": {
                     *           "type": "dns",
                     *           "address": "203.0.113.53",
                     *           "name": "example.com",
                     *           "path": "/"
                     *         }
                     *       },
                     *       "uplinks": {
                     *         "fibre": {
                     *           "interface": "nic1",
                     *           "gateway": "192.0.2.1",
                     *           "weight": 3,
                     *           "description": "",
                     *           "priority": 1,
                     *           "state": "up",
                     *           "translation": "masquerade"
                     *         },
                     *         "cable": {
                     *           "interface": "nic2",
                     *           "gateway": "198.51.100.1",
                     *           "description": "",
                     *           "weight": 1,
                     *           "priority": 1,
                     *           "state": "up",
                     *           "translation": "masquerade"
                     *         }
                     *       },
                     *       "description": "",
                     *       "enabled": true,
                     *       "sources": [],
                     *       "box": false,
                     *       "algorithm": "weight",
                     *       "need": "any",
                     *       "interval": 2,
                     *       "timeout": 1,
                     *       "rise": 2,
                     *       "fall": 3,
                     *       "return": "immediately",
                     *       "hold": 60,
                     *       "ties": []
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUplinkFarm"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putUplinkFarm: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the uplink farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "interfaces": [
                 *         "nic0"
                 *       ],
                 *       "probes": {
                 *         "resolver": {
                 *           "type": "dns",
                 *           "address": "203.0.113.53"
                 *         }
                 *       },
                 *       "uplinks": {
                 *         "fibre": {
                 *           "interface": "nic1",
                 *           "gateway": "192.0.2.1",
                 *           "weight": 3
                 *         },
                 *         "cable": {
                 *           "interface": "nic2",
                 *           "gateway": "198.51.100.1"
                 *         }
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["UplinkFarmReplacementInput"];
            };
        };
        responses: {
            /** @description The uplink farm; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "isp",
                     *       "interfaces": [
                     *         "nic0"
                     *       ],
                     *       "probes": {
                     *         "resolver": {
                     *           "type": "dns",
                     *           "address": "203.0.113.53",
                     *           "name": "example.com",
                     *           "path": "/"
                     *         }
                     *       },
                     *       "uplinks": {
                     *         "fibre": {
                     *           "interface": "nic1",
                     *           "gateway": "192.0.2.1",
                     *           "weight": 3,
                     *           "description": "",
                     *           "priority": 1,
                     *           "state": "up",
                     *           "translation": "masquerade"
                     *         },
                     *         "cable": {
                     *           "interface": "nic2",
                     *           "gateway": "198.51.100.1",
                     *           "description": "",
                     *           "weight": 1,
                     *           "priority": 1,
                     *           "state": "up",
                     *           "translation": "masquerade"
                     *         }
                     *       },
                     *       "description": "",
                     *       "enabled": true,
                     *       "sources": [],
                     *       "box": false,
                     *       "algorithm": "weight",
                     *       "need": "any",
                     *       "interval": 2,
                     *       "timeout": 1,
                     *       "rise": 2,
                     *       "fall": 3,
                     *       "return": "immediately",
                     *       "hold": 60,
                     *       "ties": []
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUplinkFarm"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "isp",
                     *       "interfaces": [
                     *         "nic0"
                     *       ],
                     *       "probes": {
                     *         "resolver": {
                     *           "type": "dns",
                     *           "address": "203.0.113.53",
                     *           "name": "example.com",
                     *           "path": "/"
                     *         }
                     *       },
                     *       "uplinks": {
                     *         "fibre": {
                     *           "interface": "nic1",
                     *           "gateway": "192.0.2.1",
                     *           "weight": 3,
                     *           "description": "",
                     *           "priority": 1,
                     *           "state": "up",
                     *           "translation": "masquerade"
                     *         },
                     *         "cable": {
                     *           "interface": "nic2",
                     *           "gateway": "198.51.100.1",
                     *           "description": "",
                     *           "weight": 1,
                     *           "priority": 1,
                     *           "state": "up",
                     *           "translation": "masquerade"
                     *         }
                     *       },
                     *       "description": "",
                     *       "enabled": true,
                     *       "sources": [],
                     *       "box": false,
                     *       "algorithm": "weight",
                     *       "need": "any",
                     *       "interval": 2,
                     *       "timeout": 1,
                     *       "rise": 2,
                     *       "fall": 3,
                     *       "return": "immediately",
                     *       "hold": 60,
                     *       "ties": []
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUplinkFarm"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteUplinkFarm: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the uplink farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchUplinkFarm: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the uplink farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The uplink farm; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "isp",
                     *       "interfaces": [
                     *         "nic0"
                     *       ],
                     *       "probes": {
                     *         "resolver": {
                     *           "type": "dns",
                     *           "address": "203.0.113.53",
                     *           "name": "example.com",
                     *           "path": "/"
                     *         }
                     *       },
                     *       "uplinks": {
                     *         "fibre": {
                     *           "interface": "nic1",
                     *           "gateway": "192.0.2.1",
                     *           "weight": 3,
                     *           "description": "",
                     *           "priority": 1,
                     *           "state": "up",
                     *           "translation": "masquerade"
                     *         },
                     *         "cable": {
                     *           "interface": "nic2",
                     *           "gateway": "198.51.100.1",
                     *           "description": "",
                     *           "weight": 1,
                     *           "priority": 1,
                     *           "state": "up",
                     *           "translation": "masquerade"
                     *         }
                     *       },
                     *       "description": "",
                     *       "enabled": true,
                     *       "sources": [],
                     *       "box": false,
                     *       "algorithm": "weight",
                     *       "need": "any",
                     *       "interval": 2,
                     *       "timeout": 1,
                     *       "rise": 2,
                     *       "fall": 3,
                     *       "return": "immediately",
                     *       "hold": 60,
                     *       "ties": []
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUplinkFarm"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    listUplinks: {
        parameters: {
            query?: {
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, description, interface, gateway, weight, priority, state, translation, prefix */
                fields?: string;
                /** @description Only those whose gateway is this (any characters stand in for *); several times: one of these */
                gateway?: string | string[];
                /** @description Only those whose interface is this (any characters stand in for *); several times: one of these */
                interface?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose prefix.inside is this (any characters stand in for *); several times: one of these */
                "prefix.inside"?: string | string[];
                /** @description Only those whose prefix.outside is this (any characters stand in for *); several times: one of these */
                "prefix.outside"?: string | string[];
                /** @description Only those whose priority is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                priority?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose state is this (any characters stand in for *); several times: one of these */
                state?: string | string[];
                /** @description Only those whose translation is this (any characters stand in for *); several times: one of these */
                translation?: string | string[];
                /** @description Only those whose weight is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                weight?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "radio",
                     *           "interface": "nic3",
                     *           "gateway": "203.0.113.1",
                     *           "weight": 1,
                     *           "description": "",
                     *           "priority": 1,
                     *           "state": "up",
                     *           "translation": "masquerade"
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedUplink"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createUplink: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "radio",
                 *       "interface": "nic3",
                 *       "gateway": "203.0.113.1",
                 *       "weight": 1
                 *     }
                 */
                "application/json": components["schemas"]["NamedUplinkInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "radio",
                     *       "interface": "nic3",
                     *       "gateway": "203.0.113.1",
                     *       "weight": 1,
                     *       "description": "",
                     *       "priority": 1,
                     *       "state": "up",
                     *       "translation": "masquerade"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUplink"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getUplink: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
                /**
                 * @description Name of the uplink
                 * @example web
                 */
                uplink: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "radio",
                     *       "interface": "nic3",
                     *       "gateway": "203.0.113.1",
                     *       "weight": 1,
                     *       "description": "",
                     *       "priority": 1,
                     *       "state": "up",
                     *       "translation": "masquerade"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUplink"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putUplink: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
                /**
                 * @description Name of the uplink
                 * @example web
                 */
                uplink: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "interface": "nic3",
                 *       "gateway": "203.0.113.1",
                 *       "weight": 1
                 *     }
                 */
                "application/json": components["schemas"]["UplinkReplacementInput"];
            };
        };
        responses: {
            /** @description The uplink; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "radio",
                     *       "interface": "nic3",
                     *       "gateway": "203.0.113.1",
                     *       "weight": 1,
                     *       "description": "",
                     *       "priority": 1,
                     *       "state": "up",
                     *       "translation": "masquerade"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUplink"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "radio",
                     *       "interface": "nic3",
                     *       "gateway": "203.0.113.1",
                     *       "weight": 1,
                     *       "description": "",
                     *       "priority": 1,
                     *       "state": "up",
                     *       "translation": "masquerade"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUplink"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteUplink: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
                /**
                 * @description Name of the uplink
                 * @example web
                 */
                uplink: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchUplink: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
                /**
                 * @description Name of the uplink
                 * @example web
                 */
                uplink: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The uplink; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "radio",
                     *       "interface": "nic3",
                     *       "gateway": "203.0.113.1",
                     *       "weight": 1,
                     *       "description": "",
                     *       "priority": 1,
                     *       "state": "up",
                     *       "translation": "masquerade"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedUplink"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    returnUplink: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the uplink farm
                 * @example web
                 */
                farm: string;
                /**
                 * @description Name of the uplink
                 * @example web
                 */
                uplink: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It takes new connections */
            204: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listUplinkStatuses: {
        parameters: {
            query?: {
                /** @description Only these fields of each object, with commas between them: name, state, uplinks */
                fields?: string;
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose state is this (any characters stand in for *); several times: one of these */
                state?: string | string[];
                /** @description Only those whose uplinks.connections is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "uplinks.connections"?: string | string[];
                /** @description Only those whose uplinks.failures is this (any characters stand in for *); several times: one of these */
                "uplinks.failures"?: string | string[];
                /** @description Only those whose uplinks.gateway is this (any characters stand in for *); several times: one of these */
                "uplinks.gateway"?: string | string[];
                /** @description Only those whose uplinks.interface is this (any characters stand in for *); several times: one of these */
                "uplinks.interface"?: string | string[];
                /** @description Only those whose uplinks.name is this (any characters stand in for *); several times: one of these */
                "uplinks.name"?: string | string[];
                /** @description Only those whose uplinks.receivedBytes is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "uplinks.receivedBytes"?: string | string[];
                /** @description Only those whose uplinks.sentBytes is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "uplinks.sentBytes"?: string | string[];
                /** @description Only those whose uplinks.since is this (any characters stand in for *); several times: one of these */
                "uplinks.since"?: string | string[];
                /** @description Only those whose uplinks.state is this (any characters stand in for *); several times: one of these */
                "uplinks.state"?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "isp",
                     *           "state": "up",
                     *           "uplinks": [
                     *             {
                     *               "name": "fibre",
                     *               "interface": "nic1",
                     *               "gateway": "192.0.2.1",
                     *               "state": "used",
                     *               "since": "2026-01-02T03:04:05.000Z",
                     *               "failures": [],
                     *               "connections": 120,
                     *               "sentBytes": 1234567,
                     *               "receivedBytes": 9876543
                     *             }
                     *           ]
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["UplinkFarmStatus"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    streamEvents: {
        parameters: {
            query?: {
                /** @description Some of commits, states, jobs, statistics, with commas between them; left out, all you may read but statistics */
                topic?: string;
            };
            header?: {
                /** @description The last event that was read */
                "last-event-id"?: string;
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A stream that does not end by itself */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example retry: 3000
                     *
                     *     id: mjv1x2-7
                     *     event: committed
                     *     data: {"id":"mjv1x2-7","topic":"commits","kind":"committed","time":"2026-01-01T12:00:00.000Z","data":{"generation":7}}
                     */
                    "text/event-stream": string;
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listFarms: {
        parameters: {
            query?: {
                /** @description Only those whose algorithm is this (any characters stand in for *); several times: one of these */
                algorithm?: string | string[];
                /** @description Only those whose backends is this (any characters stand in for *); several times: one of these */
                backends?: string | string[];
                /** @description Only those whose backends.address is this (any characters stand in for *); several times: one of these */
                "backends.address"?: string | string[];
                /** @description Only those whose backends.port is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "backends.port"?: string | string[];
                /** @description Only those whose backends.priority is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "backends.priority"?: string | string[];
                /** @description Only those whose backends.state is this (any characters stand in for *); several times: one of these */
                "backends.state"?: string | string[];
                /** @description Only those whose backends.weight is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "backends.weight"?: string | string[];
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only those whose enabled is this (true or false); several times: one of these */
                enabled?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, profile, enabled, description, virtualAddresses, ports, protocol, natType, algorithm, backends */
                fields?: string;
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Only those whose natType is this (any characters stand in for *); several times: one of these */
                natType?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose ports is this (any characters stand in for *); several times: one of these */
                ports?: string | string[];
                /** @description Only those whose profile is this (any characters stand in for *); several times: one of these */
                profile?: string | string[];
                /** @description Only those whose protocol is this (any characters stand in for *); several times: one of these */
                protocol?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose virtualAddresses is this (any characters stand in for *); several times: one of these */
                virtualAddresses?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "web",
                     *           "profile": "l4xnat",
                     *           "virtualAddresses": [
                     *             "192.0.2.10"
                     *           ],
                     *           "ports": [
                     *             "80"
                     *           ],
                     *           "backends": {
                     *             "b1": {
                     *               "address": "198.51.100.1",
                     *               "port": 80,
                     *               "weight": 1,
                     *               "priority": 1,
                     *               "state": "up"
                     *             },
                     *             "b2": {
                     *               "address": "198.51.100.2",
                     *               "port": 80,
                     *               "weight": 3,
                     *               "priority": 1,
                     *               "state": "up"
                     *             }
                     *           },
                     *           "enabled": true,
                     *           "description": "",
                     *           "protocol": "tcp",
                     *           "natType": "nat",
                     *           "algorithm": "weight"
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedFarm"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createFarm: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "web",
                 *       "profile": "l4xnat",
                 *       "virtualAddresses": [
                 *         "192.0.2.10"
                 *       ],
                 *       "ports": [
                 *         "80"
                 *       ],
                 *       "backends": {
                 *         "b1": {
                 *           "address": "198.51.100.1",
                 *           "port": 80
                 *         },
                 *         "b2": {
                 *           "address": "198.51.100.2",
                 *           "port": 80,
                 *           "weight": 3
                 *         }
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["NamedFarmInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web",
                     *       "profile": "l4xnat",
                     *       "virtualAddresses": [
                     *         "192.0.2.10"
                     *       ],
                     *       "ports": [
                     *         "80"
                     *       ],
                     *       "backends": {
                     *         "b1": {
                     *           "address": "198.51.100.1",
                     *           "port": 80,
                     *           "weight": 1,
                     *           "priority": 1,
                     *           "state": "up"
                     *         },
                     *         "b2": {
                     *           "address": "198.51.100.2",
                     *           "port": 80,
                     *           "weight": 3,
                     *           "priority": 1,
                     *           "state": "up"
                     *         }
                     *       },
                     *       "enabled": true,
                     *       "description": "",
                     *       "protocol": "tcp",
                     *       "natType": "nat",
                     *       "algorithm": "weight"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedFarm"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getFarm: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web",
                     *       "profile": "l4xnat",
                     *       "virtualAddresses": [
                     *         "192.0.2.10"
                     *       ],
                     *       "ports": [
                     *         "80"
                     *       ],
                     *       "backends": {
                     *         "b1": {
                     *           "address": "198.51.100.1",
                     *           "port": 80,
                     *           "weight": 1,
                     *           "priority": 1,
                     *           "state": "up"
                     *         },
                     *         "b2": {
                     *           "address": "198.51.100.2",
                     *           "port": 80,
                     *           "weight": 3,
                     *           "priority": 1,
                     *           "state": "up"
                     *         }
                     *       },
                     *       "enabled": true,
                     *       "description": "",
                     *       "protocol": "tcp",
                     *       "natType": "nat",
                     *       "algorithm": "weight"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedFarm"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putFarm: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "profile": "l4xnat",
                 *       "virtualAddresses": [
                 *         "192.0.2.10"
                 *       ],
                 *       "ports": [
                 *         "80"
                 *       ],
                 *       "backends": {
                 *         "b1": {
                 *           "address": "198.51.100.1",
                 *           "port": 80
                 *         },
                 *         "b2": {
                 *           "address": "198.51.100.2",
                 *           "port": 80,
                 *           "weight": 3
                 *         }
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["FarmReplacementInput"];
            };
        };
        responses: {
            /** @description The farm; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web",
                     *       "profile": "l4xnat",
                     *       "virtualAddresses": [
                     *         "192.0.2.10"
                     *       ],
                     *       "ports": [
                     *         "80"
                     *       ],
                     *       "backends": {
                     *         "b1": {
                     *           "address": "198.51.100.1",
                     *           "port": 80,
                     *           "weight": 1,
                     *           "priority": 1,
                     *           "state": "up"
                     *         },
                     *         "b2": {
                     *           "address": "198.51.100.2",
                     *           "port": 80,
                     *           "weight": 3,
                     *           "priority": 1,
                     *           "state": "up"
                     *         }
                     *       },
                     *       "enabled": true,
                     *       "description": "",
                     *       "protocol": "tcp",
                     *       "natType": "nat",
                     *       "algorithm": "weight"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedFarm"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web",
                     *       "profile": "l4xnat",
                     *       "virtualAddresses": [
                     *         "192.0.2.10"
                     *       ],
                     *       "ports": [
                     *         "80"
                     *       ],
                     *       "backends": {
                     *         "b1": {
                     *           "address": "198.51.100.1",
                     *           "port": 80,
                     *           "weight": 1,
                     *           "priority": 1,
                     *           "state": "up"
                     *         },
                     *         "b2": {
                     *           "address": "198.51.100.2",
                     *           "port": 80,
                     *           "weight": 3,
                     *           "priority": 1,
                     *           "state": "up"
                     *         }
                     *       },
                     *       "enabled": true,
                     *       "description": "",
                     *       "protocol": "tcp",
                     *       "natType": "nat",
                     *       "algorithm": "weight"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedFarm"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteFarm: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchFarm: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The farm; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web",
                     *       "profile": "l4xnat",
                     *       "virtualAddresses": [
                     *         "192.0.2.10"
                     *       ],
                     *       "ports": [
                     *         "80"
                     *       ],
                     *       "backends": {
                     *         "b1": {
                     *           "address": "198.51.100.1",
                     *           "port": 80,
                     *           "weight": 1,
                     *           "priority": 1,
                     *           "state": "up"
                     *         },
                     *         "b2": {
                     *           "address": "198.51.100.2",
                     *           "port": 80,
                     *           "weight": 3,
                     *           "priority": 1,
                     *           "state": "up"
                     *         }
                     *       },
                     *       "enabled": true,
                     *       "description": "",
                     *       "protocol": "tcp",
                     *       "natType": "nat",
                     *       "algorithm": "weight"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedFarm"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    listBackends: {
        parameters: {
            query?: {
                /** @description Only those whose address is this (any characters stand in for *); several times: one of these */
                address?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, address, port, weight, priority, state */
                fields?: string;
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose port is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                port?: string | string[];
                /** @description Only those whose priority is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                priority?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose state is this (any characters stand in for *); several times: one of these */
                state?: string | string[];
                /** @description Only those whose weight is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                weight?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "b3",
                     *           "address": "198.51.100.3",
                     *           "port": 80,
                     *           "weight": 2,
                     *           "priority": 1,
                     *           "state": "up"
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedBackend"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createBackend: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "b3",
                 *       "address": "198.51.100.3",
                 *       "port": 80,
                 *       "weight": 2
                 *     }
                 */
                "application/json": components["schemas"]["NamedBackendInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "b3",
                     *       "address": "198.51.100.3",
                     *       "port": 80,
                     *       "weight": 2,
                     *       "priority": 1,
                     *       "state": "up"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedBackend"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getBackend: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the backend
                 * @example web
                 */
                backend: string;
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "b3",
                     *       "address": "198.51.100.3",
                     *       "port": 80,
                     *       "weight": 2,
                     *       "priority": 1,
                     *       "state": "up"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedBackend"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putBackend: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the backend
                 * @example web
                 */
                backend: string;
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "address": "198.51.100.3",
                 *       "port": 80,
                 *       "weight": 2
                 *     }
                 */
                "application/json": components["schemas"]["BackendReplacementInput"];
            };
        };
        responses: {
            /** @description The backend; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "b3",
                     *       "address": "198.51.100.3",
                     *       "port": 80,
                     *       "weight": 2,
                     *       "priority": 1,
                     *       "state": "up"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedBackend"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "b3",
                     *       "address": "198.51.100.3",
                     *       "port": 80,
                     *       "weight": 2,
                     *       "priority": 1,
                     *       "state": "up"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedBackend"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteBackend: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the backend
                 * @example web
                 */
                backend: string;
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchBackend: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the backend
                 * @example web
                 */
                backend: string;
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The backend; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "b3",
                     *       "address": "198.51.100.3",
                     *       "port": 80,
                     *       "weight": 2,
                     *       "priority": 1,
                     *       "state": "up"
                     *     }
                     */
                    "application/json": components["schemas"]["NamedBackend"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getFarmStatus: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the farm
                 * @example web
                 */
                farm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web",
                     *       "state": "up",
                     *       "backends": [
                     *         {
                     *           "name": "b1",
                     *           "address": "198.51.100.1",
                     *           "port": 80,
                     *           "state": "up",
                     *           "effective": "up",
                     *           "connections": 12
                     *         },
                     *         {
                     *           "name": "b2",
                     *           "address": "198.51.100.2",
                     *           "port": 80,
                     *           "state": "maintenance",
                     *           "effective": "maintenance",
                     *           "connections": 1
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["FarmStatus"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    completeFirstBoot: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "version": 1,
                 *       "admin": {
                 *         "password": "correct horse battery"
                 *       },
                 *       "system": {
                 *         "hostname": "lb1",
                 *         "management": {
                 *           "interfaces": [
                 *             "nic0"
                 *           ]
                 *         }
                 *       },
                 *       "interfaces": {
                 *         "nic0": {
                 *           "ipv4": {
                 *             "method": "static",
                 *             "addresses": [
                 *               "192.0.2.5/24"
                 *             ],
                 *             "gateway": "192.0.2.1"
                 *           }
                 *         }
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["FirstBootAnswersInput"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 1,
                     *       "warnings": []
                     *     }
                     */
                    "application/json": components["schemas"]["FirstBootResult"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getFirstBootReport: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "time": "2026-01-01T12:00:00.000Z",
                     *       "source": "steelyard.yaml on /dev/vdb",
                     *       "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                     *       "outcome": "applied",
                     *       "generation": 1,
                     *       "applied": {
                     *         "hostname": "lb1",
                     *         "admin": [
                     *           "password, given as its hash"
                     *         ],
                     *         "managementInterfaces": [
                     *           "eth0"
                     *         ],
                     *         "interfaces": [
                     *           "eth0"
                     *         ],
                     *         "virtualAddresses": [],
                     *         "farms": []
                     *       },
                     *       "warnings": [],
                     *       "problems": []
                     *     }
                     */
                    "application/json": components["schemas"]["FirstBootReport"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listJobs: {
        parameters: {
            query?: {
                /** @description Only those whose created is this (any characters stand in for *); several times: one of these */
                created?: string | string[];
                /** @description Only those whose ended is this (any characters stand in for *); several times: one of these */
                ended?: string | string[];
                /** @description Only these fields of each object, with commas between them: id, kind, title, state, owner, source, created, started, ended, progress, result, problem */
                fields?: string;
                /** @description Only those whose id is this (any characters stand in for *); several times: one of these */
                id?: string | string[];
                /** @description Only those whose kind is this (any characters stand in for *); several times: one of these */
                kind?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose owner is this (any characters stand in for *); several times: one of these */
                owner?: string | string[];
                /** @description Only those whose problem.code is this (any characters stand in for *); several times: one of these */
                "problem.code"?: string | string[];
                /** @description Only those whose problem.detail is this (any characters stand in for *); several times: one of these */
                "problem.detail"?: string | string[];
                /** @description Only those whose problem.problems.message is this (any characters stand in for *); several times: one of these */
                "problem.problems.message"?: string | string[];
                /** @description Only those whose problem.problems.path is this (any characters stand in for *); several times: one of these */
                "problem.problems.path"?: string | string[];
                /** @description Only those whose progress.done is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "progress.done"?: string | string[];
                /** @description Only those whose progress.step is this (any characters stand in for *); several times: one of these */
                "progress.step"?: string | string[];
                /** @description Only those whose progress.total is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "progress.total"?: string | string[];
                /** @description Only those whose result is this (any characters stand in for *); several times: one of these */
                result?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; -created unless told */
                sort?: string;
                /** @description Only those whose source is this (any characters stand in for *); several times: one of these */
                source?: string | string[];
                /** @description Only those whose started is this (any characters stand in for *); several times: one of these */
                started?: string | string[];
                /** @description Only those whose state is this (any characters stand in for *); several times: one of these */
                state?: string | string[];
                /** @description Only those whose title is this (any characters stand in for *); several times: one of these */
                title?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "id": "k7mq2xwp4a1c",
                     *           "kind": "backup",
                     *           "title": "make backup lb1-20260102-030405",
                     *           "state": "running",
                     *           "owner": "admin",
                     *           "source": "192.0.2.7",
                     *           "created": "2026-01-02T03:04:05.000Z",
                     *           "started": "2026-01-02T03:04:05.000Z",
                     *           "progress": {
                     *             "step": "encrypt",
                     *             "done": 1,
                     *             "total": 3
                     *           }
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["Job"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getJob: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description Id of the job */
                job: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "k7mq2xwp4a1c",
                     *       "kind": "backup",
                     *       "title": "make backup lb1-20260102-030405",
                     *       "state": "running",
                     *       "owner": "admin",
                     *       "source": "192.0.2.7",
                     *       "created": "2026-01-02T03:04:05.000Z",
                     *       "started": "2026-01-02T03:04:05.000Z",
                     *       "progress": {
                     *         "step": "encrypt",
                     *         "done": 1,
                     *         "total": 3
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["Job"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    deleteJob: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description Id of the job */
                job: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Forgotten */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    cancelJob: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description Id of the job */
                job: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "k7mq2xwp4a1c",
                     *       "kind": "backup",
                     *       "title": "make backup lb1-20260102-030405",
                     *       "state": "running",
                     *       "owner": "admin",
                     *       "source": "192.0.2.7",
                     *       "created": "2026-01-02T03:04:05.000Z",
                     *       "started": "2026-01-02T03:04:05.000Z",
                     *       "progress": {
                     *         "step": "encrypt",
                     *         "done": 1,
                     *         "total": 3
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["Job"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getJobLog: {
        parameters: {
            query?: {
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Objects to leave out from the beginning */
                offset?: number;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description Id of the job */
                job: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "time": "2026-01-02T03:04:05.000Z",
                     *           "text": "encrypt"
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["JobLine"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listBondProposals: {
        parameters: {
            query?: {
                /** @description Seconds to listen for LACP first; 0: what was heard in the last 90 seconds */
                listen?: number;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "bond0",
                     *           "mode": "802.3ad",
                     *           "members": [
                     *             "nic0",
                     *             "nic1"
                     *           ],
                     *           "reason": "nic0 and nic1 hear LACP from one system (00:1c:73:00:00:01), which has these ports in one group (key 7)"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": {
                        /** @description None when nothing suggests one */
                        items: components["schemas"]["BondProposal"][];
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listInterfaces: {
        parameters: {
            query?: {
                /** @description Only those whose alias is this (any characters stand in for *); several times: one of these */
                alias?: string | string[];
                /** @description Only those whose bond.aggregatorSelect is this (any characters stand in for *); several times: one of these */
                "bond.aggregatorSelect"?: string | string[];
                /** @description Only those whose bond.arp.allTargets is this (true or false); several times: one of these */
                "bond.arp.allTargets"?: string | string[];
                /** @description Only those whose bond.arp.interval is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "bond.arp.interval"?: string | string[];
                /** @description Only those whose bond.arp.targets is this (any characters stand in for *); several times: one of these */
                "bond.arp.targets"?: string | string[];
                /** @description Only those whose bond.arp.validate is this (any characters stand in for *); several times: one of these */
                "bond.arp.validate"?: string | string[];
                /** @description Only those whose bond.failOverMac is this (any characters stand in for *); several times: one of these */
                "bond.failOverMac"?: string | string[];
                /** @description Only those whose bond.gratuitousCount is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "bond.gratuitousCount"?: string | string[];
                /** @description Only those whose bond.lacpRate is this (any characters stand in for *); several times: one of these */
                "bond.lacpRate"?: string | string[];
                /** @description Only those whose bond.memberPattern.bus is this (any characters stand in for *); several times: one of these */
                "bond.memberPattern.bus"?: string | string[];
                /** @description Only those whose bond.memberPattern.driver is this (any characters stand in for *); several times: one of these */
                "bond.memberPattern.driver"?: string | string[];
                /** @description Only those whose bond.memberPattern.macPrefix is this (any characters stand in for *); several times: one of these */
                "bond.memberPattern.macPrefix"?: string | string[];
                /** @description Only those whose bond.memberPattern.name is this (any characters stand in for *); several times: one of these */
                "bond.memberPattern.name"?: string | string[];
                /** @description Only those whose bond.memberPattern.speed is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "bond.memberPattern.speed"?: string | string[];
                /** @description Only those whose bond.members is this (any characters stand in for *); several times: one of these */
                "bond.members"?: string | string[];
                /** @description Only those whose bond.mii.downDelay is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "bond.mii.downDelay"?: string | string[];
                /** @description Only those whose bond.mii.interval is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "bond.mii.interval"?: string | string[];
                /** @description Only those whose bond.mii.upDelay is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "bond.mii.upDelay"?: string | string[];
                /** @description Only those whose bond.minLinks is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "bond.minLinks"?: string | string[];
                /** @description Only those whose bond.mode is this (any characters stand in for *); several times: one of these */
                "bond.mode"?: string | string[];
                /** @description Only those whose bond.monitor is this (any characters stand in for *); several times: one of these */
                "bond.monitor"?: string | string[];
                /** @description Only those whose bond.primary is this (any characters stand in for *); several times: one of these */
                "bond.primary"?: string | string[];
                /** @description Only those whose bond.primaryReselect is this (any characters stand in for *); several times: one of these */
                "bond.primaryReselect"?: string | string[];
                /** @description Only those whose bond.transmitHashPolicy is this (any characters stand in for *); several times: one of these */
                "bond.transmitHashPolicy"?: string | string[];
                /** @description Only those whose bridge.members is this (any characters stand in for *); several times: one of these */
                "bridge.members"?: string | string[];
                /** @description Only those whose bridge.stp is this (true or false); several times: one of these */
                "bridge.stp"?: string | string[];
                /** @description Only those whose card.channels.combined is this (any characters stand in for *); several times: one of these */
                "card.channels.combined"?: string | string[];
                /** @description Only those whose card.channels.receive is this (any characters stand in for *); several times: one of these */
                "card.channels.receive"?: string | string[];
                /** @description Only those whose card.channels.send is this (any characters stand in for *); several times: one of these */
                "card.channels.send"?: string | string[];
                /** @description Only those whose card.coalescing.adaptiveReceive is this (true or false); several times: one of these */
                "card.coalescing.adaptiveReceive"?: string | string[];
                /** @description Only those whose card.coalescing.adaptiveSend is this (true or false); several times: one of these */
                "card.coalescing.adaptiveSend"?: string | string[];
                /** @description Only those whose card.coalescing.receiveFrames is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "card.coalescing.receiveFrames"?: string | string[];
                /** @description Only those whose card.coalescing.receiveMicroseconds is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "card.coalescing.receiveMicroseconds"?: string | string[];
                /** @description Only those whose card.coalescing.sendFrames is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "card.coalescing.sendFrames"?: string | string[];
                /** @description Only those whose card.coalescing.sendMicroseconds is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "card.coalescing.sendMicroseconds"?: string | string[];
                /** @description Only those whose card.offloads.genericReceive is this (true or false); several times: one of these */
                "card.offloads.genericReceive"?: string | string[];
                /** @description Only those whose card.offloads.genericReceiveHardware is this (true or false); several times: one of these */
                "card.offloads.genericReceiveHardware"?: string | string[];
                /** @description Only those whose card.offloads.genericSegmentation is this (true or false); several times: one of these */
                "card.offloads.genericSegmentation"?: string | string[];
                /** @description Only those whose card.offloads.receiveChecksum is this (true or false); several times: one of these */
                "card.offloads.receiveChecksum"?: string | string[];
                /** @description Only those whose card.offloads.receiveVlan is this (true or false); several times: one of these */
                "card.offloads.receiveVlan"?: string | string[];
                /** @description Only those whose card.offloads.scatterGather is this (true or false); several times: one of these */
                "card.offloads.scatterGather"?: string | string[];
                /** @description Only those whose card.offloads.sendChecksum is this (true or false); several times: one of these */
                "card.offloads.sendChecksum"?: string | string[];
                /** @description Only those whose card.offloads.sendVlan is this (true or false); several times: one of these */
                "card.offloads.sendVlan"?: string | string[];
                /** @description Only those whose card.offloads.tcpSegmentation is this (true or false); several times: one of these */
                "card.offloads.tcpSegmentation"?: string | string[];
                /** @description Only those whose card.rings.receive is this (any characters stand in for *); several times: one of these */
                "card.rings.receive"?: string | string[];
                /** @description Only those whose card.rings.send is this (any characters stand in for *); several times: one of these */
                "card.rings.send"?: string | string[];
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only those whose enabled is this (true or false); several times: one of these */
                enabled?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, kind, description, alias, enabled, mtu, bond, vlan, bridge, card, vrf, ipv4, ipv6 */
                fields?: string;
                /** @description Only those whose ipv4.addresses is this (any characters stand in for *); several times: one of these */
                "ipv4.addresses"?: string | string[];
                /** @description Only those whose ipv4.defaultRoute is this (true or false); several times: one of these */
                "ipv4.defaultRoute"?: string | string[];
                /** @description Only those whose ipv4.gateway is this (any characters stand in for *); several times: one of these */
                "ipv4.gateway"?: string | string[];
                /** @description Only those whose ipv4.method is this (any characters stand in for *); several times: one of these */
                "ipv4.method"?: string | string[];
                /** @description Only those whose ipv6.addresses is this (any characters stand in for *); several times: one of these */
                "ipv6.addresses"?: string | string[];
                /** @description Only those whose ipv6.defaultRoute is this (true or false); several times: one of these */
                "ipv6.defaultRoute"?: string | string[];
                /** @description Only those whose ipv6.gateway is this (any characters stand in for *); several times: one of these */
                "ipv6.gateway"?: string | string[];
                /** @description Only those whose ipv6.method is this (any characters stand in for *); several times: one of these */
                "ipv6.method"?: string | string[];
                /** @description Only those whose kind is this (any characters stand in for *); several times: one of these */
                kind?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose mtu is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                mtu?: string | string[];
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose vlan.id is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "vlan.id"?: string | string[];
                /** @description Only those whose vlan.parent is this (any characters stand in for *); several times: one of these */
                "vlan.parent"?: string | string[];
                /** @description Only those whose vlan.protocol is this (any characters stand in for *); several times: one of these */
                "vlan.protocol"?: string | string[];
                /** @description Only those whose vrf.destinations is this (any characters stand in for *); several times: one of these */
                "vrf.destinations"?: string | string[];
                /** @description Only those whose vrf.members is this (any characters stand in for *); several times: one of these */
                "vrf.members"?: string | string[];
                /** @description Only those whose vrf.table is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "vrf.table"?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "nic0",
                     *           "ipv4": {
                     *             "method": "static",
                     *             "addresses": [
                     *               "192.0.2.5/24"
                     *             ],
                     *             "gateway": "192.0.2.1"
                     *           },
                     *           "kind": "ethernet",
                     *           "description": "",
                     *           "alias": "",
                     *           "enabled": true,
                     *           "ipv6": {
                     *             "method": "none",
                     *             "addresses": []
                     *           }
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedInterface"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createInterface: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "nic0",
                 *       "ipv4": {
                 *         "method": "static",
                 *         "addresses": [
                 *           "192.0.2.5/24"
                 *         ],
                 *         "gateway": "192.0.2.1"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["NamedInterfaceInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "nic0",
                     *       "ipv4": {
                     *         "method": "static",
                     *         "addresses": [
                     *           "192.0.2.5/24"
                     *         ],
                     *         "gateway": "192.0.2.1"
                     *       },
                     *       "kind": "ethernet",
                     *       "description": "",
                     *       "alias": "",
                     *       "enabled": true,
                     *       "ipv6": {
                     *         "method": "none",
                     *         "addresses": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["NamedInterface"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getInterface: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the interface
                 * @example nic0
                 */
                interface: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "nic0",
                     *       "ipv4": {
                     *         "method": "static",
                     *         "addresses": [
                     *           "192.0.2.5/24"
                     *         ],
                     *         "gateway": "192.0.2.1"
                     *       },
                     *       "kind": "ethernet",
                     *       "description": "",
                     *       "alias": "",
                     *       "enabled": true,
                     *       "ipv6": {
                     *         "method": "none",
                     *         "addresses": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["NamedInterface"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putInterface: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the interface
                 * @example nic0
                 */
                interface: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "ipv4": {
                 *         "method": "static",
                 *         "addresses": [
                 *           "192.0.2.5/24"
                 *         ],
                 *         "gateway": "192.0.2.1"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["InterfaceReplacementInput"];
            };
        };
        responses: {
            /** @description The interface; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "nic0",
                     *       "ipv4": {
                     *         "method": "static",
                     *         "addresses": [
                     *           "192.0.2.5/24"
                     *         ],
                     *         "gateway": "192.0.2.1"
                     *       },
                     *       "kind": "ethernet",
                     *       "description": "",
                     *       "alias": "",
                     *       "enabled": true,
                     *       "ipv6": {
                     *         "method": "none",
                     *         "addresses": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["NamedInterface"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "nic0",
                     *       "ipv4": {
                     *         "method": "static",
                     *         "addresses": [
                     *           "192.0.2.5/24"
                     *         ],
                     *         "gateway": "192.0.2.1"
                     *       },
                     *       "kind": "ethernet",
                     *       "description": "",
                     *       "alias": "",
                     *       "enabled": true,
                     *       "ipv6": {
                     *         "method": "none",
                     *         "addresses": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["NamedInterface"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteInterface: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the interface
                 * @example nic0
                 */
                interface: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchInterface: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the interface
                 * @example nic0
                 */
                interface: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The interface; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "nic0",
                     *       "ipv4": {
                     *         "method": "static",
                     *         "addresses": [
                     *           "192.0.2.5/24"
                     *         ],
                     *         "gateway": "192.0.2.1"
                     *       },
                     *       "kind": "ethernet",
                     *       "description": "",
                     *       "alias": "",
                     *       "enabled": true,
                     *       "ipv6": {
                     *         "method": "none",
                     *         "addresses": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["NamedInterface"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getInterfaceStatus: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the interface
                 * @example nic0
                 */
                interface: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "nic0",
                     *       "alternativeNames": [
                     *         "enp3s0f0"
                     *       ],
                     *       "mac": "3c:ec:ef:12:34:56",
                     *       "permanentMac": "3c:ec:ef:12:34:56",
                     *       "driver": "ixgbe",
                     *       "bus": "0000:03:00.0",
                     *       "firmware": "0x80000d1b, 1.2585.0",
                     *       "profiles": [
                     *         "metal"
                     *       ],
                     *       "speed": 10000,
                     *       "duplex": "full",
                     *       "carrier": true,
                     *       "state": "up",
                     *       "mtu": 1500,
                     *       "minMtu": 68,
                     *       "maxMtu": 9710,
                     *       "queues": {
                     *         "receive": 8,
                     *         "send": 8
                     *       },
                     *       "settings": [
                     *         {
                     *           "setting": "rings.receive",
                     *           "now": 2048,
                     *           "most": 4096,
                     *           "fixed": false,
                     *           "wanted": 2048
                     *         },
                     *         {
                     *           "setting": "offloads.tcpSegmentation",
                     *           "now": true,
                     *           "fixed": false
                     *         }
                     *       ],
                     *       "virtualFunctions": {
                     *         "active": 0,
                     *         "greatest": 63
                     *       },
                     *       "addresses": [
                     *         "192.0.2.5/24"
                     *       ],
                     *       "counters": {
                     *         "receivedBytes": 1234567,
                     *         "receivedPackets": 9876,
                     *         "receivedErrors": 0,
                     *         "receivedDropped": 0,
                     *         "sentBytes": 7654321,
                     *         "sentPackets": 8765,
                     *         "sentErrors": 0,
                     *         "sentDropped": 0
                     *       },
                     *       "neighbour": {
                     *         "chassis": "00:1c:73:00:00:01",
                     *         "port": "Ethernet7",
                     *         "system": "tor1.example.com"
                     *       },
                     *       "binding": {
                     *         "by": "mac",
                     *         "mac": "3c:ec:ef:12:34:56",
                     *         "path": "pci-0000:03:00.0"
                     *       },
                     *       "gateways": [
                     *         "192.0.2.1"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["InterfaceStatus"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listLinks: {
        parameters: {
            query?: {
                /** @description Only those whose addresses is this (any characters stand in for *); several times: one of these */
                addresses?: string | string[];
                /** @description Only those whose alternativeNames is this (any characters stand in for *); several times: one of these */
                alternativeNames?: string | string[];
                /** @description Only those whose binding.by is this (any characters stand in for *); several times: one of these */
                "binding.by"?: string | string[];
                /** @description Only those whose binding.mac is this (any characters stand in for *); several times: one of these */
                "binding.mac"?: string | string[];
                /** @description Only those whose binding.path is this (any characters stand in for *); several times: one of these */
                "binding.path"?: string | string[];
                /** @description Only those whose bus is this (any characters stand in for *); several times: one of these */
                bus?: string | string[];
                /** @description Only those whose candidates.name is this (any characters stand in for *); several times: one of these */
                "candidates.name"?: string | string[];
                /** @description Only those whose candidates.reason is this (any characters stand in for *); several times: one of these */
                "candidates.reason"?: string | string[];
                /** @description Only those whose carrier is this (true or false); several times: one of these */
                carrier?: string | string[];
                /** @description Only those whose counters.receivedBytes is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "counters.receivedBytes"?: string | string[];
                /** @description Only those whose counters.receivedDropped is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "counters.receivedDropped"?: string | string[];
                /** @description Only those whose counters.receivedErrors is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "counters.receivedErrors"?: string | string[];
                /** @description Only those whose counters.receivedPackets is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "counters.receivedPackets"?: string | string[];
                /** @description Only those whose counters.sentBytes is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "counters.sentBytes"?: string | string[];
                /** @description Only those whose counters.sentDropped is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "counters.sentDropped"?: string | string[];
                /** @description Only those whose counters.sentErrors is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "counters.sentErrors"?: string | string[];
                /** @description Only those whose counters.sentPackets is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "counters.sentPackets"?: string | string[];
                /** @description Only those whose driver is this (any characters stand in for *); several times: one of these */
                driver?: string | string[];
                /** @description Only those whose duplex is this (any characters stand in for *); several times: one of these */
                duplex?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, alternativeNames, kind, mac, permanentMac, driver, bus, firmware, profiles, speed, duplex, carrier, state, mtu, minMtu, maxMtu, queues, settings, virtualFunctions, virtualFunctionOf, master, addresses, counters, neighbour, binding, candidates */
                fields?: string;
                /** @description Only those whose firmware is this (any characters stand in for *); several times: one of these */
                firmware?: string | string[];
                /** @description Only those whose kind is this (any characters stand in for *); several times: one of these */
                kind?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose mac is this (any characters stand in for *); several times: one of these */
                mac?: string | string[];
                /** @description Only those whose master is this (any characters stand in for *); several times: one of these */
                master?: string | string[];
                /** @description Only those whose maxMtu is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                maxMtu?: string | string[];
                /** @description Only those whose minMtu is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                minMtu?: string | string[];
                /** @description Only those whose mtu is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                mtu?: string | string[];
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Only those whose neighbour.chassis is this (any characters stand in for *); several times: one of these */
                "neighbour.chassis"?: string | string[];
                /** @description Only those whose neighbour.port is this (any characters stand in for *); several times: one of these */
                "neighbour.port"?: string | string[];
                /** @description Only those whose neighbour.portDescription is this (any characters stand in for *); several times: one of these */
                "neighbour.portDescription"?: string | string[];
                /** @description Only those whose neighbour.system is this (any characters stand in for *); several times: one of these */
                "neighbour.system"?: string | string[];
                /** @description Only those whose neighbour.systemDescription is this (any characters stand in for *); several times: one of these */
                "neighbour.systemDescription"?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose permanentMac is this (any characters stand in for *); several times: one of these */
                permanentMac?: string | string[];
                /** @description Only those whose profiles is this (any characters stand in for *); several times: one of these */
                profiles?: string | string[];
                /** @description Only those whose queues.receive is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "queues.receive"?: string | string[];
                /** @description Only those whose queues.send is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "queues.send"?: string | string[];
                /** @description Only those whose settings.fixed is this (true or false); several times: one of these */
                "settings.fixed"?: string | string[];
                /** @description Only those whose settings.most is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "settings.most"?: string | string[];
                /** @description Only those whose settings.now is this (any characters stand in for *); several times: one of these */
                "settings.now"?: string | string[];
                /** @description Only those whose settings.refused is this (any characters stand in for *); several times: one of these */
                "settings.refused"?: string | string[];
                /** @description Only those whose settings.setting is this (any characters stand in for *); several times: one of these */
                "settings.setting"?: string | string[];
                /** @description Only those whose settings.wanted is this (any characters stand in for *); several times: one of these */
                "settings.wanted"?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose speed is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                speed?: string | string[];
                /** @description Only those whose state is this (any characters stand in for *); several times: one of these */
                state?: string | string[];
                /** @description Only those whose virtualFunctionOf is this (any characters stand in for *); several times: one of these */
                virtualFunctionOf?: string | string[];
                /** @description Only those whose virtualFunctions.active is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "virtualFunctions.active"?: string | string[];
                /** @description Only those whose virtualFunctions.greatest is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "virtualFunctions.greatest"?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "nic0",
                     *           "alternativeNames": [
                     *             "enp3s0f0"
                     *           ],
                     *           "mac": "3c:ec:ef:12:34:56",
                     *           "permanentMac": "3c:ec:ef:12:34:56",
                     *           "driver": "ixgbe",
                     *           "bus": "0000:03:00.0",
                     *           "firmware": "0x80000d1b, 1.2585.0",
                     *           "profiles": [
                     *             "metal"
                     *           ],
                     *           "speed": 10000,
                     *           "duplex": "full",
                     *           "carrier": true,
                     *           "state": "up",
                     *           "mtu": 1500,
                     *           "minMtu": 68,
                     *           "maxMtu": 9710,
                     *           "queues": {
                     *             "receive": 8,
                     *             "send": 8
                     *           },
                     *           "settings": [
                     *             {
                     *               "setting": "rings.receive",
                     *               "now": 2048,
                     *               "most": 4096,
                     *               "fixed": false,
                     *               "wanted": 2048
                     *             },
                     *             {
                     *               "setting": "offloads.tcpSegmentation",
                     *               "now": true,
                     *               "fixed": false
                     *             }
                     *           ],
                     *           "virtualFunctions": {
                     *             "active": 0,
                     *             "greatest": 63
                     *           },
                     *           "addresses": [
                     *             "192.0.2.5/24"
                     *           ],
                     *           "counters": {
                     *             "receivedBytes": 1234567,
                     *             "receivedPackets": 9876,
                     *             "receivedErrors": 0,
                     *             "receivedDropped": 0,
                     *             "sentBytes": 7654321,
                     *             "sentPackets": 8765,
                     *             "sentErrors": 0,
                     *             "sentDropped": 0
                     *           },
                     *           "neighbour": {
                     *             "chassis": "00:1c:73:00:00:01",
                     *             "port": "Ethernet7",
                     *             "system": "tor1.example.com"
                     *           },
                     *           "binding": {
                     *             "by": "mac",
                     *             "mac": "3c:ec:ef:12:34:56",
                     *             "path": "pci-0000:03:00.0"
                     *           }
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["Link"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getLink: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the link
                 * @example nic0
                 */
                link: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "nic0",
                     *       "alternativeNames": [
                     *         "enp3s0f0"
                     *       ],
                     *       "mac": "3c:ec:ef:12:34:56",
                     *       "permanentMac": "3c:ec:ef:12:34:56",
                     *       "driver": "ixgbe",
                     *       "bus": "0000:03:00.0",
                     *       "firmware": "0x80000d1b, 1.2585.0",
                     *       "profiles": [
                     *         "metal"
                     *       ],
                     *       "speed": 10000,
                     *       "duplex": "full",
                     *       "carrier": true,
                     *       "state": "up",
                     *       "mtu": 1500,
                     *       "minMtu": 68,
                     *       "maxMtu": 9710,
                     *       "queues": {
                     *         "receive": 8,
                     *         "send": 8
                     *       },
                     *       "settings": [
                     *         {
                     *           "setting": "rings.receive",
                     *           "now": 2048,
                     *           "most": 4096,
                     *           "fixed": false,
                     *           "wanted": 2048
                     *         },
                     *         {
                     *           "setting": "offloads.tcpSegmentation",
                     *           "now": true,
                     *           "fixed": false
                     *         }
                     *       ],
                     *       "virtualFunctions": {
                     *         "active": 0,
                     *         "greatest": 63
                     *       },
                     *       "addresses": [
                     *         "192.0.2.5/24"
                     *       ],
                     *       "counters": {
                     *         "receivedBytes": 1234567,
                     *         "receivedPackets": 9876,
                     *         "receivedErrors": 0,
                     *         "receivedDropped": 0,
                     *         "sentBytes": 7654321,
                     *         "sentPackets": 8765,
                     *         "sentErrors": 0,
                     *         "sentDropped": 0
                     *       },
                     *       "neighbour": {
                     *         "chassis": "00:1c:73:00:00:01",
                     *         "port": "Ethernet7",
                     *         "system": "tor1.example.com"
                     *       },
                     *       "binding": {
                     *         "by": "mac",
                     *         "mac": "3c:ec:ef:12:34:56",
                     *         "path": "pci-0000:03:00.0"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["Link"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    deleteLink: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the link
                 * @example nic0
                 */
                link: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    adoptLink: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the link
                 * @example nic0
                 */
                link: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "card": "nic4"
                 *     }
                 */
                "application/json": components["schemas"]["AdoptionInput"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "nic0",
                     *       "alternativeNames": [
                     *         "enp3s0f0"
                     *       ],
                     *       "mac": "3c:ec:ef:12:34:56",
                     *       "permanentMac": "3c:ec:ef:12:34:56",
                     *       "driver": "ixgbe",
                     *       "bus": "0000:03:00.0",
                     *       "firmware": "0x80000d1b, 1.2585.0",
                     *       "profiles": [
                     *         "metal"
                     *       ],
                     *       "speed": 10000,
                     *       "duplex": "full",
                     *       "carrier": true,
                     *       "state": "up",
                     *       "mtu": 1500,
                     *       "minMtu": 68,
                     *       "maxMtu": 9710,
                     *       "queues": {
                     *         "receive": 8,
                     *         "send": 8
                     *       },
                     *       "settings": [
                     *         {
                     *           "setting": "rings.receive",
                     *           "now": 2048,
                     *           "most": 4096,
                     *           "fixed": false,
                     *           "wanted": 2048
                     *         },
                     *         {
                     *           "setting": "offloads.tcpSegmentation",
                     *           "now": true,
                     *           "fixed": false
                     *         }
                     *       ],
                     *       "virtualFunctions": {
                     *         "active": 0,
                     *         "greatest": 63
                     *       },
                     *       "addresses": [
                     *         "192.0.2.5/24"
                     *       ],
                     *       "counters": {
                     *         "receivedBytes": 1234567,
                     *         "receivedPackets": 9876,
                     *         "receivedErrors": 0,
                     *         "receivedDropped": 0,
                     *         "sentBytes": 7654321,
                     *         "sentPackets": 8765,
                     *         "sentErrors": 0,
                     *         "sentDropped": 0
                     *       },
                     *       "neighbour": {
                     *         "chassis": "00:1c:73:00:00:01",
                     *         "port": "Ethernet7",
                     *         "system": "tor1.example.com"
                     *       },
                     *       "binding": {
                     *         "by": "mac",
                     *         "mac": "3c:ec:ef:12:34:56",
                     *         "path": "pci-0000:03:00.0"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["Link"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listVirtualAddresses: {
        parameters: {
            query?: {
                /** @description Only those whose address is this (any characters stand in for *); several times: one of these */
                address?: string | string[];
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only those whose enabled is this (true or false); several times: one of these */
                enabled?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, description, enabled, interface, address */
                fields?: string;
                /** @description Only those whose interface is this (any characters stand in for *); several times: one of these */
                interface?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "web",
                     *           "interface": "nic0",
                     *           "address": "192.0.2.10/24",
                     *           "description": "",
                     *           "enabled": true
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedVirtualAddress"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createVirtualAddress: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "web",
                 *       "interface": "nic0",
                 *       "address": "192.0.2.10/24"
                 *     }
                 */
                "application/json": components["schemas"]["NamedVirtualAddressInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web",
                     *       "interface": "nic0",
                     *       "address": "192.0.2.10/24",
                     *       "description": "",
                     *       "enabled": true
                     *     }
                     */
                    "application/json": components["schemas"]["NamedVirtualAddress"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getVirtualAddress: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the virtual address
                 * @example web
                 */
                address: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web",
                     *       "interface": "nic0",
                     *       "address": "192.0.2.10/24",
                     *       "description": "",
                     *       "enabled": true
                     *     }
                     */
                    "application/json": components["schemas"]["NamedVirtualAddress"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putVirtualAddress: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the virtual address
                 * @example web
                 */
                address: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "interface": "nic0",
                 *       "address": "192.0.2.10/24"
                 *     }
                 */
                "application/json": components["schemas"]["VirtualAddressReplacementInput"];
            };
        };
        responses: {
            /** @description The virtual address; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web",
                     *       "interface": "nic0",
                     *       "address": "192.0.2.10/24",
                     *       "description": "",
                     *       "enabled": true
                     *     }
                     */
                    "application/json": components["schemas"]["NamedVirtualAddress"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web",
                     *       "interface": "nic0",
                     *       "address": "192.0.2.10/24",
                     *       "description": "",
                     *       "enabled": true
                     *     }
                     */
                    "application/json": components["schemas"]["NamedVirtualAddress"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteVirtualAddress: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the virtual address
                 * @example web
                 */
                address: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchVirtualAddress: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the virtual address
                 * @example web
                 */
                address: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The virtual address; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "web",
                     *       "interface": "nic0",
                     *       "address": "192.0.2.10/24",
                     *       "description": "",
                     *       "enabled": true
                     *     }
                     */
                    "application/json": components["schemas"]["NamedVirtualAddress"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    holdVirtualAddress: {
        parameters: {
            query?: {
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the virtual address
                 * @example web
                 */
                address: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "held": true,
                     *       "present": true
                     *     }
                     */
                    "application/json": components["schemas"]["VirtualAddressStatus"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
        };
    };
    releaseVirtualAddress: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the virtual address
                 * @example web
                 */
                address: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "held": true,
                     *       "present": true
                     *     }
                     */
                    "application/json": components["schemas"]["VirtualAddressStatus"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
        };
    };
    getVirtualAddressStatus: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the virtual address
                 * @example web
                 */
                address: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "held": true,
                     *       "present": true
                     *     }
                     */
                    "application/json": components["schemas"]["VirtualAddressStatus"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getOpenApi: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description An OpenAPI 3.1 document */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "openapi": "3.1.0"
                     *     }
                     */
                    "application/json": {
                        [key: string]: unknown;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getPasswordReset: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "possible": false,
                     *       "reason": "the box was started longer ago"
                     *     }
                     */
                    "application/json": components["schemas"]["PasswordResetState"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    resetPassword: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "password": "correct horse battery"
                 *     }
                 */
                "application/json": components["schemas"]["PasswordResetInput"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 8
                     *     }
                     */
                    "application/json": components["schemas"]["PasswordResetDone"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getReference: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The page */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /** @example <!doctype html> */
                    "text/html": string;
                };
            };
            400: components["responses"]["Problem400"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getReferenceFile: {
        parameters: {
            query?: {
                /** @description The hash of the content */
                v?: string;
            };
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the file
                 * @example start.js
                 */
                file: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /** @example body { margin: 0 } */
                    "text/css": string;
                    /** @example SwaggerUIBundle({}); */
                    "text/javascript": string;
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listRoutes: {
        parameters: {
            query?: {
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only those whose destination is this (any characters stand in for *); several times: one of these */
                destination?: string | string[];
                /** @description Only those whose enabled is this (true or false); several times: one of these */
                enabled?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, description, enabled, type, destination, via, interface, metric, table, source, mtu, onlink */
                fields?: string;
                /** @description Only those whose interface is this (any characters stand in for *); several times: one of these */
                interface?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose metric is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                metric?: string | string[];
                /** @description Only those whose mtu is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                mtu?: string | string[];
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose onlink is this (true or false); several times: one of these */
                onlink?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose source is this (any characters stand in for *); several times: one of these */
                source?: string | string[];
                /** @description Only those whose table is this (any characters stand in for *); several times: one of these */
                table?: string | string[];
                /** @description Only those whose type is this (any characters stand in for *); several times: one of these */
                type?: string | string[];
                /** @description Only those whose via is this (any characters stand in for *); several times: one of these */
                via?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "partner",
                     *           "destination": "203.0.113.0/24",
                     *           "via": "192.0.2.254",
                     *           "interface": "eth0",
                     *           "description": "",
                     *           "enabled": true,
                     *           "type": "unicast",
                     *           "metric": 0,
                     *           "table": "main",
                     *           "onlink": false
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedRoute"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createRoute: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "partner",
                 *       "destination": "203.0.113.0/24",
                 *       "via": "192.0.2.254",
                 *       "interface": "eth0"
                 *     }
                 */
                "application/json": components["schemas"]["NamedRouteInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "partner",
                     *       "destination": "203.0.113.0/24",
                     *       "via": "192.0.2.254",
                     *       "interface": "eth0",
                     *       "description": "",
                     *       "enabled": true,
                     *       "type": "unicast",
                     *       "metric": 0,
                     *       "table": "main",
                     *       "onlink": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoute"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getRoute: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the route
                 * @example web
                 */
                route: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "partner",
                     *       "destination": "203.0.113.0/24",
                     *       "via": "192.0.2.254",
                     *       "interface": "eth0",
                     *       "description": "",
                     *       "enabled": true,
                     *       "type": "unicast",
                     *       "metric": 0,
                     *       "table": "main",
                     *       "onlink": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoute"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putRoute: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the route
                 * @example web
                 */
                route: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "destination": "203.0.113.0/24",
                 *       "via": "192.0.2.254",
                 *       "interface": "eth0"
                 *     }
                 */
                "application/json": components["schemas"]["RouteReplacementInput"];
            };
        };
        responses: {
            /** @description The route; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "partner",
                     *       "destination": "203.0.113.0/24",
                     *       "via": "192.0.2.254",
                     *       "interface": "eth0",
                     *       "description": "",
                     *       "enabled": true,
                     *       "type": "unicast",
                     *       "metric": 0,
                     *       "table": "main",
                     *       "onlink": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoute"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "partner",
                     *       "destination": "203.0.113.0/24",
                     *       "via": "192.0.2.254",
                     *       "interface": "eth0",
                     *       "description": "",
                     *       "enabled": true,
                     *       "type": "unicast",
                     *       "metric": 0,
                     *       "table": "main",
                     *       "onlink": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoute"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteRoute: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the route
                 * @example web
                 */
                route: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchRoute: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the route
                 * @example web
                 */
                route: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The route; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "partner",
                     *       "destination": "203.0.113.0/24",
                     *       "via": "192.0.2.254",
                     *       "interface": "eth0",
                     *       "description": "",
                     *       "enabled": true,
                     *       "type": "unicast",
                     *       "metric": 0,
                     *       "table": "main",
                     *       "onlink": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoute"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    listRoutingRules: {
        parameters: {
            query?: {
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only those whose enabled is this (true or false); several times: one of these */
                enabled?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, description, enabled, priority, from, to, mark, interface, not, table */
                fields?: string;
                /** @description Only those whose from is this (any characters stand in for *); several times: one of these */
                from?: string | string[];
                /** @description Only those whose interface is this (any characters stand in for *); several times: one of these */
                interface?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose mark.mask is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "mark.mask"?: string | string[];
                /** @description Only those whose mark.value is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "mark.value"?: string | string[];
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Only those whose not is this (true or false); several times: one of these */
                not?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose priority is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                priority?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose table is this (any characters stand in for *); several times: one of these */
                table?: string | string[];
                /** @description Only those whose to is this (any characters stand in for *); several times: one of these */
                to?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "from-partner",
                     *           "priority": 29100,
                     *           "from": "198.51.100.0/24",
                     *           "table": "partner",
                     *           "description": "",
                     *           "enabled": true,
                     *           "not": false
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedRoutingRule"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createRoutingRule: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "from-partner",
                 *       "priority": 29100,
                 *       "from": "198.51.100.0/24",
                 *       "table": "partner"
                 *     }
                 */
                "application/json": components["schemas"]["NamedRoutingRuleInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "from-partner",
                     *       "priority": 29100,
                     *       "from": "198.51.100.0/24",
                     *       "table": "partner",
                     *       "description": "",
                     *       "enabled": true,
                     *       "not": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoutingRule"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getRoutingRule: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the routing rule
                 * @example web
                 */
                rule: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "from-partner",
                     *       "priority": 29100,
                     *       "from": "198.51.100.0/24",
                     *       "table": "partner",
                     *       "description": "",
                     *       "enabled": true,
                     *       "not": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoutingRule"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putRoutingRule: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the routing rule
                 * @example web
                 */
                rule: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "priority": 29100,
                 *       "from": "198.51.100.0/24",
                 *       "table": "partner"
                 *     }
                 */
                "application/json": components["schemas"]["RoutingRuleReplacementInput"];
            };
        };
        responses: {
            /** @description The routing rule; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "from-partner",
                     *       "priority": 29100,
                     *       "from": "198.51.100.0/24",
                     *       "table": "partner",
                     *       "description": "",
                     *       "enabled": true,
                     *       "not": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoutingRule"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "from-partner",
                     *       "priority": 29100,
                     *       "from": "198.51.100.0/24",
                     *       "table": "partner",
                     *       "description": "",
                     *       "enabled": true,
                     *       "not": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoutingRule"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteRoutingRule: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the routing rule
                 * @example web
                 */
                rule: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchRoutingRule: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the routing rule
                 * @example web
                 */
                rule: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The routing rule; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "from-partner",
                     *       "priority": 29100,
                     *       "from": "198.51.100.0/24",
                     *       "table": "partner",
                     *       "description": "",
                     *       "enabled": true,
                     *       "not": false
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoutingRule"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    listRouteStatuses: {
        parameters: {
            query?: {
                /** @description Only those whose destination is this (any characters stand in for *); several times: one of these */
                destination?: string | string[];
                /** @description Only those whose family is this (any characters stand in for *); several times: one of these */
                family?: string | string[];
                /** @description Only these fields of each object, with commas between them: family, type, destination, via, interface, table, metric, source, origin, text */
                fields?: string;
                /** @description Only those whose interface is this (any characters stand in for *); several times: one of these */
                interface?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose metric is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                metric?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose origin is this (any characters stand in for *); several times: one of these */
                origin?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; family,table,destination,metric unless told */
                sort?: string;
                /** @description Only those whose source is this (any characters stand in for *); several times: one of these */
                source?: string | string[];
                /** @description Only those whose table is this (any characters stand in for *); several times: one of these */
                table?: string | string[];
                /** @description Only those whose text is this (any characters stand in for *); several times: one of these */
                text?: string | string[];
                /** @description Only those whose type is this (any characters stand in for *); several times: one of these */
                type?: string | string[];
                /** @description Only those whose via is this (any characters stand in for *); several times: one of these */
                via?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "family": "ipv4",
                     *           "type": "unicast",
                     *           "destination": "203.0.113.0/24",
                     *           "via": "192.0.2.254",
                     *           "interface": "eth0",
                     *           "table": "main",
                     *           "metric": 0,
                     *           "origin": "steelyard",
                     *           "text": "unicast 203.0.113.0/24 via 192.0.2.254 dev eth0 table 254 metric 0"
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["RouteStatus"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listRuleStatuses: {
        parameters: {
            query?: {
                /** @description Only those whose family is this (any characters stand in for *); several times: one of these */
                family?: string | string[];
                /** @description Only these fields of each object, with commas between them: family, priority, table, origin, text */
                fields?: string;
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose origin is this (any characters stand in for *); several times: one of these */
                origin?: string | string[];
                /** @description Only those whose priority is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                priority?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; family,priority unless told */
                sort?: string;
                /** @description Only those whose table is this (any characters stand in for *); several times: one of these */
                table?: string | string[];
                /** @description Only those whose text is this (any characters stand in for *); several times: one of these */
                text?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "family": "ipv4",
                     *           "priority": 29100,
                     *           "table": "partner",
                     *           "origin": "steelyard",
                     *           "text": "priority 29100 from 198.51.100.0/24 lookup 100"
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["RuleStatus"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listRoutingTables: {
        parameters: {
            query?: {
                /** @description Only those whose description is this (any characters stand in for *); several times: one of these */
                description?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, description, id */
                fields?: string;
                /** @description Only those whose id is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                id?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "partner",
                     *           "id": 100,
                     *           "description": ""
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["NamedRoutingTable"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createRoutingTable: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "partner",
                 *       "id": 100
                 *     }
                 */
                "application/json": components["schemas"]["NamedRoutingTableInput"];
            };
        };
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "partner",
                     *       "id": 100,
                     *       "description": ""
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoutingTable"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getRoutingTable: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the routing table
                 * @example web
                 */
                table: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "partner",
                     *       "id": 100,
                     *       "description": ""
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoutingTable"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putRoutingTable: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the routing table
                 * @example web
                 */
                table: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": 100
                 *     }
                 */
                "application/json": components["schemas"]["RoutingTableReplacementInput"];
            };
        };
        responses: {
            /** @description The routing table; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "partner",
                     *       "id": 100,
                     *       "description": ""
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoutingTable"] | components["schemas"]["Plan"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "partner",
                     *       "id": 100,
                     *       "description": ""
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoutingTable"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    deleteRoutingTable: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the routing table
                 * @example web
                 */
                table: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, for a dry run */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchRoutingTable: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the routing table
                 * @example web
                 */
                table: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The routing table; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "partner",
                     *       "id": 100,
                     *       "description": ""
                     *     }
                     */
                    "application/json": components["schemas"]["NamedRoutingTable"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    createSession: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "user": "admin",
                 *       "password": "correct horse battery"
                 *     }
                 */
                "application/json": components["schemas"]["CredentialsInput"] | components["schemas"]["SecondFactorInput"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "token": "b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4",
                     *       "expires": "2026-01-01T20:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Session"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    deleteSession: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Ended */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    beginRequiredSecondFactor: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "challenge": "b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4"
                 *     }
                 */
                "application/json": components["schemas"]["SecondFactorChallengeInput"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
                     *       "uri": "otpauth://totp/lb1:anna?issuer=lb1&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30",
                     *       "svg": "<svg/>",
                     *       "text": "█▀▀▀▀▀█"
                     *     }
                     */
                    "application/json": components["schemas"]["SecondFactorEnrolment"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    listFarmStatuses: {
        parameters: {
            query?: {
                /** @description Only those whose backends.address is this (any characters stand in for *); several times: one of these */
                "backends.address"?: string | string[];
                /** @description Only those whose backends.connections is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "backends.connections"?: string | string[];
                /** @description Only those whose backends.effective is this (any characters stand in for *); several times: one of these */
                "backends.effective"?: string | string[];
                /** @description Only those whose backends.name is this (any characters stand in for *); several times: one of these */
                "backends.name"?: string | string[];
                /** @description Only those whose backends.port is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                "backends.port"?: string | string[];
                /** @description Only those whose backends.state is this (any characters stand in for *); several times: one of these */
                "backends.state"?: string | string[];
                /** @description Only these fields of each object, with commas between them: name, state, backends */
                fields?: string;
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Fields with commas between them, - before one for descending order; name unless told */
                sort?: string;
                /** @description Only those whose state is this (any characters stand in for *); several times: one of these */
                state?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "web",
                     *           "state": "up",
                     *           "backends": [
                     *             {
                     *               "name": "b1",
                     *               "address": "198.51.100.1",
                     *               "port": 80,
                     *               "state": "up",
                     *               "effective": "up",
                     *               "connections": 12
                     *             },
                     *             {
                     *               "name": "b2",
                     *               "address": "198.51.100.2",
                     *               "port": 80,
                     *               "state": "maintenance",
                     *               "effective": "maintenance",
                     *               "connections": 1
                     *             }
                     *           ]
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["FarmStatus"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getSystem: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "hostname": "lb1.example.com",
                     *       "dns": {
                     *         "servers": [
                     *           "192.0.2.53"
                     *         ],
                     *         "search": [
                     *           "example.com"
                     *         ],
                     *         "dnssec": "no",
                     *         "overTls": "no"
                     *       },
                     *       "ntp": {
                     *         "servers": [
                     *           "192.0.2.123",
                     *           {
                     *             "address": "time.example.com",
                     *             "nts": true,
                     *             "prefer": false
                     *           }
                     *         ]
                     *       },
                     *       "timeZone": "Europe/Berlin",
                     *       "hosts": [
                     *         {
                     *           "address": "192.0.2.80",
                     *           "names": [
                     *             "files.example.com"
                     *           ]
                     *         }
                     *       ],
                     *       "proxy": {
                     *         "url": "http://proxy.example.com:3128",
                     *         "bypass": [
                     *           "example.com"
                     *         ]
                     *       },
                     *       "management": {
                     *         "interfaces": [
                     *           "nic0"
                     *         ],
                     *         "port": 444
                     *       },
                     *       "lldp": "receive",
                     *       "unconfiguredCards": "down",
                     *       "console": {
                     *         "passwordReset": true
                     *       },
                     *       "ssh": {
                     *         "enabled": true,
                     *         "port": 22,
                     *         "passwordAuthentication": false
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["System"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putSystem: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "hostname": "lb1.example.com",
                 *       "dns": {
                 *         "servers": [
                 *           "192.0.2.53"
                 *         ],
                 *         "search": [
                 *           "example.com"
                 *         ],
                 *         "dnssec": "no",
                 *         "overTls": "no"
                 *       },
                 *       "ntp": {
                 *         "servers": [
                 *           "192.0.2.123",
                 *           {
                 *             "address": "time.example.com",
                 *             "nts": true,
                 *             "prefer": false
                 *           }
                 *         ]
                 *       },
                 *       "timeZone": "Europe/Berlin",
                 *       "hosts": [
                 *         {
                 *           "address": "192.0.2.80",
                 *           "names": [
                 *             "files.example.com"
                 *           ]
                 *         }
                 *       ],
                 *       "proxy": {
                 *         "url": "http://proxy.example.com:3128",
                 *         "bypass": [
                 *           "example.com"
                 *         ]
                 *       },
                 *       "management": {
                 *         "interfaces": [
                 *           "nic0"
                 *         ],
                 *         "port": 444
                 *       },
                 *       "lldp": "receive",
                 *       "unconfiguredCards": "down",
                 *       "console": {
                 *         "passwordReset": true
                 *       },
                 *       "ssh": {
                 *         "enabled": true,
                 *         "port": 22,
                 *         "passwordAuthentication": false
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["SystemInput"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "hostname": "lb1.example.com",
                     *       "dns": {
                     *         "servers": [
                     *           "192.0.2.53"
                     *         ],
                     *         "search": [
                     *           "example.com"
                     *         ],
                     *         "dnssec": "no",
                     *         "overTls": "no"
                     *       },
                     *       "ntp": {
                     *         "servers": [
                     *           "192.0.2.123",
                     *           {
                     *             "address": "time.example.com",
                     *             "nts": true,
                     *             "prefer": false
                     *           }
                     *         ]
                     *       },
                     *       "timeZone": "Europe/Berlin",
                     *       "hosts": [
                     *         {
                     *           "address": "192.0.2.80",
                     *           "names": [
                     *             "files.example.com"
                     *           ]
                     *         }
                     *       ],
                     *       "proxy": {
                     *         "url": "http://proxy.example.com:3128",
                     *         "bypass": [
                     *           "example.com"
                     *         ]
                     *       },
                     *       "management": {
                     *         "interfaces": [
                     *           "nic0"
                     *         ],
                     *         "port": 444
                     *       },
                     *       "lldp": "receive",
                     *       "unconfiguredCards": "down",
                     *       "console": {
                     *         "passwordReset": true
                     *       },
                     *       "ssh": {
                     *         "enabled": true,
                     *         "port": 22,
                     *         "passwordAuthentication": false
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["System"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchSystem: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "hostname": "lb1.example.com",
                     *       "dns": {
                     *         "servers": [
                     *           "192.0.2.53"
                     *         ],
                     *         "search": [
                     *           "example.com"
                     *         ],
                     *         "dnssec": "no",
                     *         "overTls": "no"
                     *       },
                     *       "ntp": {
                     *         "servers": [
                     *           "192.0.2.123",
                     *           {
                     *             "address": "time.example.com",
                     *             "nts": true,
                     *             "prefer": false
                     *           }
                     *         ]
                     *       },
                     *       "timeZone": "Europe/Berlin",
                     *       "hosts": [
                     *         {
                     *           "address": "192.0.2.80",
                     *           "names": [
                     *             "files.example.com"
                     *           ]
                     *         }
                     *       ],
                     *       "proxy": {
                     *         "url": "http://proxy.example.com:3128",
                     *         "bypass": [
                     *           "example.com"
                     *         ]
                     *       },
                     *       "management": {
                     *         "interfaces": [
                     *           "nic0"
                     *         ],
                     *         "port": 444
                     *       },
                     *       "lldp": "receive",
                     *       "unconfiguredCards": "down",
                     *       "console": {
                     *         "passwordReset": true
                     *       },
                     *       "ssh": {
                     *         "enabled": true,
                     *         "port": 22,
                     *         "passwordAuthentication": false
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["System"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getBackupSchedule: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "enabled": true,
                     *       "time": "03:00",
                     *       "days": [
                     *         "sunday"
                     *       ],
                     *       "keep": 7,
                     *       "recipients": [
                     *         "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
                     *       ],
                     *       "identity": true,
                     *       "history": false
                     *     }
                     */
                    "application/json": components["schemas"]["BackupSchedule"];
                };
            };
            /** @description The tag of If-None-Match still holds */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    putBackupSchedule: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description GET: an ETag, 304 when nothing changed; PUT: * only creates
                 * @example *
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "enabled": true,
                 *       "time": "03:00",
                 *       "days": [
                 *         "sunday"
                 *       ],
                 *       "keep": 7,
                 *       "recipients": [
                 *         "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
                 *       ],
                 *       "identity": true,
                 *       "history": false
                 *     }
                 */
                "application/json": components["schemas"]["BackupScheduleInput"];
            };
        };
        responses: {
            /** @description The settings; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "enabled": true,
                     *       "time": "03:00",
                     *       "days": [
                     *         "sunday"
                     *       ],
                     *       "keep": 7,
                     *       "recipients": [
                     *         "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
                     *       ],
                     *       "identity": true,
                     *       "history": false
                     *     }
                     */
                    "application/json": components["schemas"]["BackupSchedule"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    patchBackupSchedule: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description The ETag that was read: a stale change is refused with 412
                 * @example "0wlXyjwLTHQqvGrJnQjpmA"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["MergePatchInput"];
                /** @example {} */
                "application/merge-patch+json": components["schemas"]["MergePatchInput"];
            };
        };
        responses: {
            /** @description The settings; for a dry run, the plan */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "enabled": true,
                     *       "time": "03:00",
                     *       "days": [
                     *         "sunday"
                     *       ],
                     *       "keep": 7,
                     *       "recipients": [
                     *         "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
                     *       ],
                     *       "identity": true,
                     *       "history": false
                     *     }
                     */
                    "application/json": components["schemas"]["BackupSchedule"] | components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    listBackups: {
        parameters: {
            query?: {
                /** @description Only these fields of each object, with commas between them: name, time, size, origin, lock, hostname, version, generation, identity, history */
                fields?: string;
                /** @description Only those whose generation is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                generation?: string | string[];
                /** @description Only those whose history is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                history?: string | string[];
                /** @description Only those whose hostname is this (any characters stand in for *); several times: one of these */
                hostname?: string | string[];
                /** @description Only those whose identity is this (true or false); several times: one of these */
                identity?: string | string[];
                /** @description Greatest number of objects in the answer */
                limit?: number;
                /** @description Only those whose lock is this (any characters stand in for *); several times: one of these */
                lock?: string | string[];
                /** @description Only those whose name is this (any characters stand in for *); several times: one of these */
                name?: string | string[];
                /** @description Objects to leave out from the beginning */
                offset?: number;
                /** @description Only those whose origin is this (any characters stand in for *); several times: one of these */
                origin?: string | string[];
                /** @description Only those whose size is this (a number or a range: 3, 1..10, 5..); several times: one of these */
                size?: string | string[];
                /** @description Fields with commas between them, - before one for descending order; -time unless told */
                sort?: string;
                /** @description Only those whose time is this (any characters stand in for *); several times: one of these */
                time?: string | string[];
                /** @description Only those whose version is this (any characters stand in for *); several times: one of these */
                version?: string | string[];
            };
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "lb1-20260102-030405",
                     *           "time": "2026-01-02T03:04:05.000Z",
                     *           "size": 12345,
                     *           "origin": "made",
                     *           "lock": "passphrase",
                     *           "hostname": "lb1",
                     *           "version": "0.1.0",
                     *           "generation": 7,
                     *           "identity": true,
                     *           "history": 0
                     *         }
                     *       ],
                     *       "total": 1
                     *     }
                     */
                    "application/json": {
                        /** @description Those of this page */
                        items: components["schemas"]["StoredBackup"][];
                        /** @description Number of objects that match, on all pages */
                        total: number;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    createBackup: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "passphrase": "four words nobody guesses",
                 *       "identity": true,
                 *       "history": false
                 *     }
                 */
                "application/json": components["schemas"]["BackupWishInput"];
            };
        };
        responses: {
            /** @description The job; Location is where to follow it */
            202: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "k7mq2xwp4a1c",
                     *       "kind": "backup",
                     *       "title": "make backup lb1-20260102-030405",
                     *       "state": "running",
                     *       "owner": "admin",
                     *       "source": "192.0.2.7",
                     *       "created": "2026-01-02T03:04:05.000Z",
                     *       "started": "2026-01-02T03:04:05.000Z",
                     *       "progress": {
                     *         "step": "encrypt",
                     *         "done": 1,
                     *         "total": 3
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["Job"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getBackup: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the backup
                 * @example web
                 */
                backup: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "lb1-20260102-030405",
                     *       "time": "2026-01-02T03:04:05.000Z",
                     *       "size": 12345,
                     *       "origin": "made",
                     *       "lock": "passphrase",
                     *       "hostname": "lb1",
                     *       "version": "0.1.0",
                     *       "generation": 7,
                     *       "identity": true,
                     *       "history": 0
                     *     }
                     */
                    "application/json": components["schemas"]["StoredBackup"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    deleteBackup: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the backup
                 * @example web
                 */
                backup: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deleted */
            204: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    downloadBackup: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the backup
                 * @example web
                 */
                backup: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /** @example (the bytes of the file) */
                    "application/octet-stream": string;
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            413: components["responses"]["Problem413"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    uploadBackup: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the backup
                 * @example web
                 */
                backup: string;
            };
            cookie?: never;
        };
        /** @description a backup of Steelyard, as it was fetched */
        requestBody: {
            content: {
                /** @example (the bytes of the file) */
                "application/octet-stream": string;
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "lb1-20260102-030405",
                     *       "time": "2026-01-02T03:04:05.000Z",
                     *       "size": 12345,
                     *       "origin": "made",
                     *       "lock": "passphrase",
                     *       "hostname": "lb1",
                     *       "version": "0.1.0",
                     *       "generation": 7,
                     *       "identity": true,
                     *       "history": 0
                     *     }
                     */
                    "application/json": components["schemas"]["StoredBackup"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    restoreBackup: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /**
                 * @description Name of the backup
                 * @example web
                 */
                backup: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "passphrase": "four words nobody guesses",
                 *       "map": {
                 *         "eth0": "eth2"
                 *       },
                 *       "identity": false
                 *     }
                 */
                "application/json": components["schemas"]["RestoreWishInput"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "manifest": {
                     *         "product": "steelyard",
                     *         "format": 1,
                     *         "version": "0.1.0",
                     *         "schemaVersion": 2,
                     *         "hostname": "lb1",
                     *         "time": "2026-01-02T03:04:05.000Z",
                     *         "generation": 7,
                     *         "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                     *         "identity": true,
                     *         "history": 0,
                     *         "nics": [
                     *           {
                     *             "name": "eth0",
                     *             "mac": "52:54:00:12:34:56",
                     *             "driver": "virtio_net",
                     *             "bus": "0000:00:03.0"
                     *           }
                     *         ]
                     *       },
                     *       "restored": false,
                     *       "nics": [
                     *         {
                     *           "name": "eth0",
                     *           "to": "eth0",
                     *           "by": "mac",
                     *           "reason": "the same card, by its permanent MAC address",
                     *           "candidates": []
                     *         }
                     *       ],
                     *       "identity": false,
                     *       "plan": {
                     *         "generation": 8,
                     *         "warnings": [],
                     *         "steps": [],
                     *         "confirmWithin": 0,
                     *         "reasons": []
                     *       },
                     *       "differences": []
                     *     }
                     */
                    "application/json": components["schemas"]["RestoreReport"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    getManagementCertificate: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "source": "configured",
                     *       "name": "management",
                     *       "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n",
                     *       "subject": "CN=lb1.example.com",
                     *       "issuer": "O=Example, CN=Example authority 1",
                     *       "names": [
                     *         "lb1.example.com"
                     *       ],
                     *       "notBefore": "2026-01-01T00:00:00.000Z",
                     *       "notAfter": "2026-04-01T00:00:00.000Z",
                     *       "daysLeft": 89,
                     *       "key": "ECDSA P-256",
                     *       "signature": "ECDSA with SHA-256",
                     *       "fingerprint": "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB",
                     *       "selfSigned": false
                     *     }
                     */
                    "application/json": components["schemas"]["ManagementCertificate"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    regenerateManagementCertificate: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "source": "configured",
                     *       "name": "management",
                     *       "certificate": "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n",
                     *       "subject": "CN=lb1.example.com",
                     *       "issuer": "O=Example, CN=Example authority 1",
                     *       "names": [
                     *         "lb1.example.com"
                     *       ],
                     *       "notBefore": "2026-01-01T00:00:00.000Z",
                     *       "notAfter": "2026-04-01T00:00:00.000Z",
                     *       "daysLeft": 89,
                     *       "key": "ECDSA P-256",
                     *       "signature": "ECDSA with SHA-256",
                     *       "fingerprint": "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB",
                     *       "selfSigned": false
                     *     }
                     */
                    "application/json": components["schemas"]["ManagementCertificate"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    resetToFactory: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "hostname": "lb1",
                 *       "keep": [
                 *         "logs"
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["FactoryResetInput"];
            };
        };
        responses: {
            /** @description Begun */
            202: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "keep": [
                     *         "logs"
                     *       ],
                     *       "message": "lb1 starts again and asks its first questions"
                     *     }
                     */
                    "application/json": components["schemas"]["FactoryResetBegun"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
    sealSystem: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "hostname": "lb1",
                 *       "keepConfiguration": false
                 *     }
                 */
                "application/json": components["schemas"]["SealInput"];
            };
        };
        responses: {
            /** @description Begun */
            202: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    Location: components["headers"]["Location"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "message": "lb1 is sealed and powers off"
                     *     }
                     */
                    "application/json": components["schemas"]["SealBegun"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            409: components["responses"]["Problem409"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    getSystemStatus: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "hostname": "lb1",
                     *       "node": "0d2f6c1e-7b1f-4e0a-9c55-3f6f1f0f8a11",
                     *       "version": "0.1.0",
                     *       "image": "steelyard-virt 0.1.0",
                     *       "slot": "a",
                     *       "uptime": 86400,
                     *       "time": "2026-01-01T12:00:00.000Z",
                     *       "memory": {
                     *         "total": 2147483648,
                     *         "available": 1610612736
                     *       },
                     *       "load": [
                     *         0.1,
                     *         0.05,
                     *         0.01
                     *       ],
                     *       "disks": [
                     *         {
                     *           "path": "/config",
                     *           "size": 520093696,
                     *           "used": 1048576,
                     *           "available": 480247808
                     *         }
                     *       ],
                     *       "generation": 7,
                     *       "health": "ok",
                     *       "problems": [],
                     *       "warnings": [],
                     *       "units": [
                     *         {
                     *           "name": "steelyard-agent.service",
                     *           "state": "active"
                     *         }
                     *       ],
                     *       "failedUnits": [],
                     *       "clock": {
                     *         "synchronized": true,
                     *         "stratum": 3,
                     *         "offset": -0.000012,
                     *         "sources": [
                     *           {
                     *             "server": "time.example.com",
                     *             "state": "selected",
                     *             "stratum": 2,
                     *             "answered": 8,
                     *             "offset": 0.000034,
                     *             "nts": true
                     *           }
                     *         ]
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["SystemStatus"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            503: components["responses"]["Problem503"];
        };
    };
    commitTransaction: {
        parameters: {
            query?: {
                /** @description Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes */
                confirmWithin?: number;
                /** @description true: check everything, change nothing, answer with the plan */
                dryRun?: "true" | "false";
                /** @description true: take addresses that another host has; the audit log says so */
                force?: "true" | "false";
            };
            header?: {
                /**
                 * @description A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing
                 * @example 8e03978e-40d5-43dd-bc93-6894a57f9324
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /**
                 * @description An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -
                 * @example deploy-4711
                 */
                "Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "message": "move web to the new servers",
                 *       "generation": 7,
                 *       "changes": [
                 *         {
                 *           "op": "patch",
                 *           "object": "farms/web",
                 *           "value": {
                 *             "backends": {
                 *               "b1": {
                 *                 "address": "198.51.100.7"
                 *               }
                 *             }
                 *           }
                 *         },
                 *         {
                 *           "op": "delete",
                 *           "object": "farms/old"
                 *         }
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["TransactionInput"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["Replayed"];
                    "Request-Id": components["headers"]["RequestId"];
                    "Steelyard-Confirm-Before": components["headers"]["ConfirmBefore"];
                    "Steelyard-Generation": components["headers"]["Generation"];
                    "Steelyard-Warnings": components["headers"]["Warnings"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "generation": 7,
                     *       "warnings": [],
                     *       "steps": [
                     *         {
                     *           "subsystem": "l4",
                     *           "kind": "put-farm",
                     *           "summary": "add farm web"
                     *         }
                     *       ],
                     *       "confirmWithin": 0,
                     *       "reasons": []
                     *     }
                     */
                    "application/json": components["schemas"]["Plan"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            404: components["responses"]["Problem404"];
            409: components["responses"]["Problem409"];
            412: components["responses"]["Problem412"];
            413: components["responses"]["Problem413"];
            415: components["responses"]["Problem415"];
            422: components["responses"]["Problem422"];
            429: components["responses"]["Problem429"];
            500: components["responses"]["Problem500"];
            502: components["responses"]["Problem502"];
            503: components["responses"]["Problem503"];
            507: components["responses"]["Problem507"];
        };
    };
}
