"""The part of SendGrid's REST interface that sends a mail."""
