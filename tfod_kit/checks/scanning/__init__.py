"""Reading all records of a split once, without decoding images."""
