"""Reads the exports `scim` and `oaa` with the libraries that their users have.

Arguments: the folder of `scim`, the file of `oaa`. Prints counts as JSON.
"""

import json
import pathlib
import sys

from oaaclient.templates import CustomApplication, OAAPermission
from scim2_models import Group, ListResponse, User

scim, oaa = map(pathlib.Path, sys.argv[1:])
found = {}


def resources(name, kind):
    seen = []
    for file in sorted(scim.glob(f"{name}-*.json")):
        page = ListResponse[kind].model_validate_json(file.read_bytes())
        assert page.start_index == len(seen) + 1, file
        seen += page.resources or []
        assert page.items_per_page == len(page.resources or []), file
    assert page.total_results == len(seen), name
    return seen


users, groups = resources("users", User), resources("groups", Group)
ids = [resource.id for resource in users + groups]
assert len(ids) == len(set(ids))
members = [member.value for group in groups for member in group.members or []]
assert set(members) <= set(ids)
assert all(user.user_name for user in users)
found["scim"] = {"users": len(users), "groups": len(groups), "members": len(members)}


def same(ours, theirs, what):
    key = lambda value: json.dumps(value, sort_keys=True)
    ours, theirs = sorted(ours, key=key), sorted(theirs, key=key)
    assert len(ours) == len(theirs), f"{what}: {len(ours)} {len(theirs)}"
    for one, other in zip(ours, theirs):
        assert one == other, f"{what}: {one} {other}"
    return len(ours)


def assignments(identities):
    """Without what Veza's client leaves out, and with lists in one order."""
    plain = lambda one: {name: sorted(value) if isinstance(value, list) else value for name, value in one.items() if value not in (None, [])}
    for identity in identities:
        kinds = ("application_permissions", "role_assignments")
        lists = {kind: sorted(map(plain, identity[kind]), key=str) for kind in kinds if kind in identity}
        yield {**identity, **lists}


# Veza's client has no way to read a payload: this builds the application again, from its parts, and compares.
payload = json.loads(oaa.read_bytes())
(ours,) = payload["applications"]
theirs = CustomApplication(ours["name"], ours["application_type"])
for permission in payload["permissions"]:
    kinds = [OAAPermission(kind) for kind in permission["permission_type"]]
    theirs.add_custom_permission(permission["name"], kinds, apply_to_sub_resources=permission["apply_to_sub_resources"])
places = {
    one["id"]: theirs.add_resource(one["name"], one["resource_type"], unique_id=one["id"]) for one in ours["resources"]
}
made = [(one, theirs.add_access_cred(one["id"], one["name"])) for one in ours["local_access_creds"]]
for one in ours["local_roles"]:
    theirs.add_local_role(one["name"], unique_id=one["id"], permissions=one.get("permissions"))
made += [(one, theirs.add_local_group(one["name"], unique_id=one["id"])) for one in ours["local_groups"]]
for one in ours["local_users"]:
    user = theirs.add_local_user(one["name"], identities=one.get("identities"), unique_id=one["id"])
    for credential in one.get("access_creds", []):
        user.add_access_cred(credential)
    made.append((one, user))
for one, other in made:
    for group in one.get("groups", []):
        other.add_group(group)
    for name in ("email", "is_active", "created_at", "last_login_at", "user_type", "expires_at", "last_used_at", "can_expire"):
        if name in one:
            setattr(other, name, one[name])
for one in payload["identity_to_permissions"]:
    known = {"local_user": theirs.local_users, "local_group": theirs.local_groups}[one["identity_type"]]
    identity = known[one["identity"]]
    for permission in one.get("application_permissions", []):
        identity.add_permission(permission["permission"], resources=[places[key] for key in permission["resources"]])
    for role in one.get("role_assignments", []):
        assert role["role"] in theirs.local_roles
        scope = [places[key] for key in role.get("resources", [])]
        identity.add_role(role["role"], apply_to_application=role["apply_to_application"] or None, resources=scope)
built = theirs.get_payload()
lists = ("local_users", "local_groups", "local_roles", "local_access_creds", "resources")
found["oaa"] = {name: same(ours[name], built["applications"][0][name], name) for name in lists}
same(payload["permissions"], built["permissions"], "permissions")
name = "identity_to_permissions"
found["oaa"][name] = same(assignments(payload[name]), assignments(built[name]), name)
print(json.dumps(found))
