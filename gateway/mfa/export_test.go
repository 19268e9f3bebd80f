package mfa

// AtStore is how many requests are at the store at a time.
const AtStore = atStore
