library(testthat)
library(kinlmm)

test_check("kinlmm")
