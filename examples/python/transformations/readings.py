"""SQL text: the shortest way, where SQL says it best."""

from qanat import pipelines as dp


@dp.table(comment="Every reading that can be true")
@dp.expect_or_drop("has_value", "celsius IS NOT NULL")
@dp.expect_or_quarantine("plausible", "celsius BETWEEN -60 AND 60 OR celsius IS NULL")
@dp.expect_or_quarantine("one_per_moment", "UNIQUE (station, measured_at)")
def readings() -> str:
    return """
        SELECT
          station,
          CAST(measured_at AS TIMESTAMP) AS measured_at,
          CAST(celsius AS DOUBLE) AS celsius
        FROM STREAM read_files('data/readings/*.csv', format => 'csv', header => true)
    """
