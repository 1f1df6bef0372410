"""Reads a simulated tenant with Duo's official client and prints what it found, as JSON.

Nothing of the client is changed: it signs, pages and checks the certificate as it does for everybody. Only the name
of the API host is resolved to this machine.
"""

import hashlib
import json
import socket
import sys

import duo_client

arguments = json.loads(sys.stdin.read())
resolve = socket.getaddrinfo


def to_this_machine(host, *rest, **options):
    return resolve("127.0.0.1" if host == arguments["host"] else host, *rest, **options)


socket.getaddrinfo = to_this_machine


def client(secret_key=arguments["secret_key"], **options):
    return duo_client.Admin(
        ikey=arguments["integration_key"],
        skey=secret_key,
        host=arguments["host"],
        port=arguments["port"],
        ca_certs=arguments["ca_file"],
        **options,
    )


def count(iterator):
    return len(list(iterator))


def log_walk(sort):
    """The ids of all events, along the cursor as the client hands it out: a list, sent as two parameters."""
    seen, cursor = [], {}
    while True:
        page = admin.get_authentication_log(api_version=2, limit="500", sort=sort, **log, **cursor)
        seen += [event["txid"] for event in page["authlogs"]]
        following = page["metadata"].get("next_offset")
        if following is None:
            return seen
        cursor = {"next_offset": following}


def same_by_key(read, objects, key):
    """Whether the first and the last object are the same when they are read one by one."""
    return all(read(found[key]) == found for found in (objects[0], objects[-1]))


admin = client()
users = list(admin.get_users_iterator())
groups = list(admin.get_groups_generator())
phones = list(admin.get_phones_generator())
tokens = list(admin.get_tokens_generator())
credentials = list(admin.get_webauthncredentials_iterator())
codes = list(admin.get_bypass_codes_generator())
integrations = list(admin.get_integrations_generator())
admins = list(admin.get_admins_iterator())
units = list(admin.get_administrative_units_iterator())
policies = list(admin.get_policies_v2_iterator())
group = groups[0]["group_id"]
user = next(user for user in users if user["groups"] and user["phones"])
log = {"mintime": arguments["mintime"], "maxtime": arguments["maxtime"]}
first = admin.get_authentication_log(api_version=2, limit="1000", **log)
second = admin.get_authentication_log(
    api_version=2, limit="1000", next_offset=",".join(first["metadata"]["next_offset"]), **log
)

ascending = log_walk("ts:asc")
descending = log_walk("ts:desc")
application = integrations[1]["integration_key"]
of_application = admin.get_authentication_log(
    api_version=2, limit="1", sort="ts:desc", applications=application, results="success", **log
)
unit_of_admin = next(found for found in admins if found["admin_units"])
some = [user["user_id"] for user in users[3:7]]
found = {
    "users": len(users),
    "user_ids": len({user["user_id"] for user in users}),
    "groups": len(groups),
    "phones": len(phones),
    "tokens": len(tokens),
    "webauthncredentials": len(credentials),
    "u2ftokens": count(admin.get_u2ftokens_iterator()),
    "bypass_codes": len(codes),
    "integrations": len(integrations),
    "admins": len(admins),
    "password_mgmt": len(admin.get_external_password_mgmt_statuses()),
    "administrative_units": len(units),
    "policies": len(policies),
    "policies_in_summary": admin.get_policy_summary_v2()["policy_count"],
    "users_in_summary": admin.get_info_summary()["user_count"],
    "memberships": sum(len(user["groups"]) for user in users),
    "members": sum(count(admin.get_group_users_iterator(group["group_id"])) for group in groups),
    "user_by_id": admin.get_user_by_id(user["user_id"]) == user,
    "user_by_name": [found["user_id"] for found in admin.get_users_by_name(user["username"])] == [user["user_id"]],
    "groups_of_user": list(admin.get_user_groups_iterator(user["user_id"])) == user["groups"],
    "phones_of_user": list(admin.get_user_phones_iterator(user["user_id"])) == user["phones"],
    "tokens_of_user": count(admin.get_user_tokens_iterator(user["user_id"])) == len(user["tokens"]),
    "webauthncredentials_of_user": count(admin.get_user_webauthncredentials_iterator(user["user_id"]))
    == len(user["webauthncredentials"]),
    "u2ftokens_of_user": count(admin.get_user_u2ftokens_iterator(user["user_id"])) == 0,
    "bypass_codes_of_user": {code["bypass_code_id"] for code in admin.get_user_bypass_codes(codes[0]["user"]["user_id"])}
    == {code["bypass_code_id"] for code in codes if code["user"]["user_id"] == codes[0]["user"]["user_id"]},
    "users_by_email": user in admin.get_user_by_email(user["email"]),
    "users_by_ids": [user["user_id"] for user in admin.get_users_by_ids(some)] == some,
    "users_by_names": list(admin.get_users_by_names([user["username"] for user in users[3:7]])) == users[3:7],
    "group_by_id": admin.get_group(group, api_version=2) == groups[0],
    "group_by_id_v1": admin.get_group(group) == groups[0],
    "groups_by_ids": list(admin.get_groups_by_group_ids([group])) == groups[:1],
    "phone_by_id": same_by_key(admin.get_phone_by_id, phones, "phone_id"),
    "phones_by_number": phones[0] in admin.get_phones_by_number(phones[0]["number"]),
    "token_by_id": same_by_key(admin.get_token_by_id, tokens, "token_id"),
    "tokens_by_serial": tokens[0] in admin.get_tokens_by_serial(tokens[0]["type"], tokens[0]["serial"]),
    "webauthncredential_by_id": same_by_key(admin.get_webauthncredential_by_id, credentials, "webauthnkey"),
    "integration_by_key": same_by_key(admin.get_integration, integrations, "integration_key"),
    "admin_by_id": same_by_key(admin.get_admin, admins, "admin_id"),
    "password_mgmt_of_admin": admin.get_external_password_mgmt_status_for_admin(admins[0]["admin_id"])
    == admin.get_external_password_mgmt_statuses()[0],
    "units_of_admin": [unit["admin_unit_id"] for unit in admin.get_administrative_units(unit_of_admin["admin_id"])]
    == unit_of_admin["admin_units"],
    "policy_by_key": same_by_key(admin.get_policy_v2, policies, "policy_key"),
    "global_policy": admin.get_policy_v2("global") == policies[0],
    "allowed_auth_methods": "webauthn_enabled" in admin.get_allowed_admin_auth_methods(),
    "settings": "helpdesk_bypass" in admin.get_settings(),
    "authentication_attempts": "authentication_attempts" in admin.get_authentication_attempts(),
    "log_orders_agree": ascending == descending[::-1] and len(set(ascending)) == len(ascending),
    "log_of_application": [event["application"]["key"] for event in of_application["authlogs"]] == [application],
    "events_in_window": len(ascending),
    "events": [len(first["authlogs"]), len(second["authlogs"])],
    "events_differ": {event["txid"] for event in first["authlogs"]}.isdisjoint(
        event["txid"] for event in second["authlogs"]
    ),
}

for name, digest in (("sha1", hashlib.sha1), ("sha512", hashlib.sha512)):
    older = client(sig_version=2, digestmod=digest)
    found[f"users_v2_{name}"] = count(older.get_users_iterator())
    try:
        older.get_policies_v2(limit=1)
        found[f"policies_v2_{name}"] = "read"
    except RuntimeError as error:
        found[f"policies_v2_{name}"] = str(error)

try:
    client(secret_key="0" * 40).get_info_summary()
    found["wrong_key"] = "accepted"
except RuntimeError as error:
    found["wrong_key"] = str(error)

print(json.dumps(found))
