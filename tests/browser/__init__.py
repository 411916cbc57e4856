"""The pages in a real Chromium. A package, so that pytest knows where its fixtures end."""
