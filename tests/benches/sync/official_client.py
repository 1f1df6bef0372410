"""Reads the lists of a tenant into memory with Duo's official client, and prints how many objects it has.

Only the name of the API host is resolved to this machine.
"""

import json
import socket
import sys

import duo_client

arguments = json.loads(sys.argv[1])
resolve = socket.getaddrinfo


def to_this_machine(host, *rest, **options):
    return resolve("127.0.0.1" if host == arguments["host"] else host, *rest, **options)


socket.getaddrinfo = to_this_machine
admin = duo_client.Admin(
    ikey=arguments["integration_key"],
    skey=arguments["secret_key"],
    host=arguments["host"],
    port=arguments["port"],
    ca_certs=arguments["ca_file"],
)
lists = [
    list(admin.get_users_iterator()),
    list(admin.get_groups_generator()),
    list(admin.get_phones_generator()),
    list(admin.get_tokens_generator()),
    list(admin.get_webauthncredentials_iterator()),
    list(admin.get_bypass_codes_generator()),
    list(admin.get_integrations_generator()),
    list(admin.get_admins_iterator()),
    list(admin.get_administrative_units_iterator()),
    list(admin.get_policies_v2_iterator()),
]
print(sum(len(objects) for objects in lists))
