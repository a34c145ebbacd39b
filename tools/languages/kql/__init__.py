"""KQL, the language of Microsoft Sentinel and Defender."""
