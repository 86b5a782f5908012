"""The part of Twilio's REST interface that sends a text message."""
