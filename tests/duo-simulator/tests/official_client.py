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


admin = client()
users = list(admin.get_users_iterator())
groups = list(admin.get_groups_generator())
group = groups[0]["group_id"]
user = next(user for user in users if user["groups"] and user["phones"])
log = {"mintime": arguments["mintime"], "maxtime": arguments["maxtime"]}
first = admin.get_authentication_log(api_version=2, limit="1000", **log)
second = admin.get_authentication_log(
    api_version=2, limit="1000", next_offset=",".join(first["metadata"]["next_offset"]), **log
)

found = {
    "users": len(users),
    "user_ids": len({user["user_id"] for user in users}),
    "groups": len(groups),
    "phones": count(admin.get_phones_generator()),
    "tokens": count(admin.get_tokens_generator()),
    "webauthncredentials": count(admin.get_webauthncredentials_iterator()),
    "bypass_codes": count(admin.get_bypass_codes_generator()),
    "integrations": count(admin.get_integrations_generator()),
    "admins": count(admin.get_admins_iterator()),
    "administrative_units": count(admin.get_administrative_units_iterator()),
    "policies": count(admin.get_policies_v2_iterator()),
    "policies_in_summary": admin.get_policy_summary_v2()["policy_count"],
    "users_in_summary": admin.get_info_summary()["user_count"],
    "memberships": sum(len(user["groups"]) for user in users),
    "members": sum(count(admin.get_group_users_iterator(group["group_id"])) for group in groups),
    "user_by_id": admin.get_user_by_id(user["user_id"]) == user,
    "user_by_name": [found["user_id"] for found in admin.get_users_by_name(user["username"])] == [user["user_id"]],
    "groups_of_user": list(admin.get_user_groups_iterator(user["user_id"])) == user["groups"],
    "phones_of_user": list(admin.get_user_phones_iterator(user["user_id"])) == user["phones"],
    "group_by_id": admin.get_group(group, api_version=2) == groups[0],
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
