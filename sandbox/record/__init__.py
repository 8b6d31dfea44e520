"""The record service: record types, values in and out, collections, and the accounting behind customers and documents."""
