caught <- function(expr) tryCatch(expr, kinlmm_error = identity)

decomposed <- function(n, seed = 1) {
  K <- withr::with_seed(seed, tcrossprod(matrix(stats::rnorm(n^2), n)) / n)
  e <- eigen(K, symmetric = TRUE)
  list(K = K, E = new_kin_eigen(e$values, e$vectors, sprintf("id%d", seq_len(n))))
}

paths_of <- function(prefix) paste0(prefix, c(".eigenD.txt", ".eigenU.txt"))

test_that("an eigendecomposition comes back as it was written", {
  for (n in c(1, 2, 8)) {
    E <- decomposed(n)$E
    prefix <- tempfile("eigen")
    expect_identical(write_eigen(E, prefix), prefix)
    paths <- paths_of(prefix)
    expect_false(is.unsorted(scan(paths[[1L]], quiet = TRUE)))
    expect_identical(read_eigen(paths[[1L]], paths[[2L]], E$ids), E)
  }
})

test_that("files that are not of n samples, or not orthonormal, are errors", {
  E <- decomposed(4)$E
  paths <- paths_of(write_eigen(E, tempfile("eigen")))
  read <- function(ids = E$ids) caught(read_eigen(paths[[1L]], paths[[2L]], ids))
  expect_s3_class(read(E$ids[-1]), "kinlmm_error_kinship_file")
  expect_s3_class(caught(read_eigen(paths[[1L]], paths[[2L]])), "kinlmm_error_kinship_ids")
  expect_s3_class(caught(read_eigen("nowhere", paths[[2L]], E$ids)),
                  "kinlmm_error_kinship_missing")
  U <- utils::read.table(paths[[2L]])
  U[2, 3] <- U[2, 3] + 1e-3
  utils::write.table(U, paths[[2L]], row.names = FALSE, col.names = FALSE)
  expect_match(conditionMessage(read()), "orthogonal and of length one")
  # columns of length one that are not orthogonal
  utils::write.table(diag(4)[, c(1, 1, 2, 3)], paths[[2L]], row.names = FALSE,
                     col.names = FALSE)
  expect_match(conditionMessage(read()), "orthogonal and of length one")
  expect_s3_class(caught(write_eigen(list(), "x")), "kinlmm_error_argument")
})

test_that("GEMMA's eigendecomposition is that of the centred kinship", {
  skip_if_no_program("gemma")
  withr::local_dir(withr::local_tempdir())
  G <- random_genotypes(40, 60, missing = 0)
  write_test_bed(G, "geno")
  write_lines("pheno", ".txt", as.character(seq_len(40)))
  K <- suppressMessages(grm(G))
  write_kinship(K, "k", "gemma")
  args <- c("-bfile", "geno", "-p", "pheno.txt", "-k", "k.cXX.txt", "-eigen", "-miss", "1",
            "-o", "e")
  expect_identical(system2("gemma", args, stdout = FALSE, stderr = FALSE), 0L)
  E <- read_eigen("output/e.eigenD.txt", "output/e.eigenU.txt", ids = rownames(G))
  expect_s3_class(E, "kin_eigen")
  expect_false(is.unsorted(-E$values))
  again <- E$vectors %*% (E$values * t(E$vectors))
  C <- diag(40) - 1 / 40
  expect_equal(unname(again), unname(C %*% K %*% C), tolerance = 1e-8)
})
