"""What `dicomprep audit` looks at: each section is a function from a database to a Section."""
