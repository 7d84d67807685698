# SPDX-License-Identifier: MIT
"""
Certificates for the tests of TLS, made once in a folder that goes with us.
"""

import ssl
import subprocess
import tempfile

_folder = tempfile.TemporaryDirectory(prefix='rota-tls-')
CERTIFICATE = _folder.name + '/certificate.pem'
KEY = _folder.name + '/key.pem'

subprocess.run(
    ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
     'ec_paramgen_curve:prime256v1', '-nodes', '-days', '3650',
     '-subj', '/CN=localhost',
     '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
     '-keyout', KEY, '-out', CERTIFICATE],
    check=True, stderr=subprocess.DEVNULL)


def server_context(alpn=()):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def client_context(trust=True, alpn=()):
    """One that believes our certificate; or that believes nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trust:
        context.load_verify_locations(CERTIFICATE)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context
