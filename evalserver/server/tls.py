"""TLS: certificate and key, loaded at start-up and reloaded on SIGHUP."""

import ssl

import structlog

log = structlog.get_logger("evalserver")


class CannotUseTls(Exception):
    """Certificate or key cannot be used; says why."""


class Tls:
    """The TLS configuration of the server, TLS 1.2 or newer. Raises CannotUseTls."""

    def __init__(self, certificate: str | None, key: str | None) -> None:
        if certificate is None or key is None:
            missing = "tls_cert" if certificate is None else "tls_key"
            raise CannotUseTls(f"{missing}: certificate and key must be given together")
        self._certificate = certificate
        self._key = key
        self.context = self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def reload(self) -> None:
        """Reload both for new connections; if they are invalid, the old ones stay in use."""
        try:
            # First into another context: this one must never have one without the other.
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            self._load(self.context)
        except CannotUseTls as error:
            log.error("cannot reload the certificate; the old one stays in use", error=str(error))
        else:
            log.info("reloaded the certificate", certificate=self._certificate)

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # An empty passphrase, so that OpenSSL never prompts for one.
            context.load_cert_chain(self._certificate, self._key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise CannotUseTls(
                f"tls_cert {self._certificate}, tls_key {self._key}: {error}"
            ) from error
        return context
