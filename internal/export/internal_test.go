package export

// GrypeTables is for tests.
const GrypeTables = grypeTables
