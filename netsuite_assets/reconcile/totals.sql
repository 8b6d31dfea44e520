-- What billing billed and what NetSuite holds in the month, by record type and currency.
-- Parameters: $period, $record; {expected} and {actual} are the two tables.
SELECT
    $period AS period,
    $record AS record,
    currency,
    coalesce(sum(billed_documents), 0)::BIGINT AS billed_documents,
    coalesce(sum(billed_total), 0)::DECIMAL(18, 4) AS billed_total,
    coalesce(sum(held_back_documents), 0)::BIGINT AS held_back_documents,
    coalesce(sum(held_back_total), 0)::DECIMAL(18, 4) AS held_back_total,
    coalesce(sum(netsuite_documents), 0)::BIGINT AS netsuite_documents,
    coalesce(sum(netsuite_total), 0)::DECIMAL(18, 4) AS netsuite_total,
    coalesce(sum(billed_total - held_back_total - netsuite_total), 0)::DECIMAL(18, 4) AS difference,
    coalesce(sum(explained), 0)::DECIMAL(18, 4) AS explained,
    coalesce(sum(billed_total - held_back_total - netsuite_total - explained), 0)::DECIMAL(18, 4) AS unexplained
FROM (
    SELECT
        currency, 1 AS billed_documents, coalesce(total, 0) AS billed_total,
        (problem IS NOT NULL)::INTEGER AS held_back_documents,
        CASE WHEN problem IS NOT NULL THEN coalesce(total, 0) ELSE 0 END AS held_back_total,
        0 AS netsuite_documents, 0 AS netsuite_total, 0 AS explained
    FROM {expected}
    WHERE period = $period
    UNION ALL BY NAME
    SELECT currency, 0 AS billed_documents, 0 AS billed_total, 0 AS held_back_documents, 0 AS held_back_total,
        1 AS netsuite_documents, coalesce(total, 0) AS netsuite_total, 0 AS explained
    FROM {actual}
    WHERE period = $period AND dated_in = $period
    UNION ALL BY NAME
    SELECT currency, 0 AS billed_documents, 0 AS billed_total, 0 AS held_back_documents, 0 AS held_back_total,
        0 AS netsuite_documents, 0 AS netsuite_total, delta AS explained
    FROM differences_found
    WHERE record = $record
)
GROUP BY currency
ORDER BY currency
