"""TLS: certificate and key, read at the start and again when the operator says so."""

import ssl

import structlog

log = structlog.get_logger("evalserver")


class CannotUseTls(Exception):
    """Certificate or key cannot be used; says why."""


class Tls:
    """The server's side of TLS 1.2 and newer. Raises CannotUseTls."""

    def __init__(self, certificate: str | None, key: str | None) -> None:
        if certificate is None or key is None:
            missing = "tls_cert" if certificate is None else "tls_key"
            raise CannotUseTls(f"{missing}: certificate and key are to be given together")
        self._certificate = certificate
        self._key = key
        self.context = self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def reload(self) -> None:
        """Read both again, for connections from now on; what cannot be used is left unused."""
        try:
            # First elsewhere: the context that serves must never have one without the other.
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            self._load(self.context)
        except CannotUseTls as error:
            log.error("the certificate stays as it was", error=str(error))
        else:
            log.info("the certificate was read again", certificate=self._certificate)

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # Never ask for a passphrase: nobody is there to type it.
            context.load_cert_chain(self._certificate, self._key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise CannotUseTls(
                f"tls_cert {self._certificate}, tls_key {self._key}: {error}"
            ) from error
        return context
