-- What `benchmarks/mapping.py` maps, written by hand: the same rows in the schema `hand`, by someone who knows DuckDB
-- and the data. `$period` is the month; `$where_<field>` is where the tenant's file has the field's rule.
DELETE FROM hand.invoice_lines WHERE period = '$period';

INSERT INTO hand.invoice_lines
WITH item AS MATERIALIZED (
    SELECT key, min(internal_id) AS id, count(DISTINCT internal_id) AS answers, min(how) AS how
    FROM (
        SELECT *, min(rank) OVER (PARTITION BY key) AS best
        FROM (
            SELECT lower(trim(external_id)) AS key, internal_id, 0 AS rank, 'external_id' AS how
            FROM netsuite.reference WHERE list = 'item' AND is_inactive IS NOT TRUE
            UNION ALL
            SELECT lower(trim(number)), internal_id, 1, 'number'
            FROM netsuite.reference WHERE list = 'item' AND is_inactive IS NOT TRUE
            UNION ALL
            SELECT lower(trim(name)), internal_id, 2, 'name'
            FROM netsuite.reference WHERE list = 'item' AND is_inactive IS NOT TRUE)
        WHERE key <> '')
    WHERE rank = best GROUP BY key),
line AS (
    SELECT l.*, d.number, 'inv-' || d.id AS external_id, nullif(l.product_id, '') AS product,
        nullif(l.description, '') AS text, l.meta[1] AS meter, l.metadata IS NOT NULL AND l.meta IS NULL AS unreadable
    FROM (SELECT *, TRY(json_extract_string(metadata, ['/meter'])) AS meta
        FROM billing.invoice_lines WHERE period = '$period') l
    LEFT JOIN (SELECT id, number FROM billing.invoices WHERE period = '$period') d ON d.id = l.invoice_id)
SELECT '$period', external_id, line.id, line_no, NULL,
    CASE WHEN item.answers IS DISTINCT FROM 1 OR unreadable THEN concat_ws(' ',
        CASE WHEN item.answers = 1 THEN NULL ELSE concat('Invoice ', number, ', line ', line_no, ': ', CASE
            WHEN product IS NULL THEN 'item is empty in billing, and NetSuite needs it.'
            WHEN item.answers > 1 THEN concat('item: NetSuite has several active rows ''', left(product, 80), ''' in the list item.')
            ELSE concat('item: NetSuite has no active item ''', left(product, 80), ''' (list item).') END) END,
        CASE WHEN unreadable THEN concat('Invoice ', number, ', line ', line_no, ': its metadata in billing is not JSON.') END) END,
    CASE WHEN item.answers > 1 THEN 'ambiguous_reference' WHEN item.answers IS NULL THEN 'unresolved_reference'
        WHEN unreadable THEN 'invalid_value' END,
    CASE WHEN item.answers IS DISTINCT FROM 1 OR unreadable THEN concat_ws(' ',
        CASE WHEN item.answers = 1 THEN NULL
            WHEN product IS NULL THEN 'Fill it in billing, or give the rule in $where_item a default.'
            WHEN item.answers > 1 THEN concat('Make ''', left(product, 80), ''' unique in NetSuite, or map it to one internal id in $where_item.')
            ELSE concat('Create the item ''', left(product, 80), ''' in NetSuite or map it in $where_item.') END,
        CASE WHEN unreadable THEN 'Correct the metadata in billing.' END) END,
    NULL,
    CASE WHEN item.answers = 1 THEN '{"item":"' || item.how || '"}' END,
    CASE WHEN item.answers = 1 THEN item.id END,
    text, quantity, unit_amount, amount, service_start, service_end, nullif(meter, ''),
    text || ' (' || number || ')', -amount
FROM line LEFT JOIN item ON item.key = lower(trim(line.product));

DELETE FROM hand.invoices WHERE period = '$period';

INSERT INTO hand.invoices
WITH names AS MATERIALIZED (
    SELECT list, key, min(internal_id) AS id, count(DISTINCT internal_id) AS answers, min(how) AS how
    FROM (
        SELECT *, min(rank) OVER (PARTITION BY list, key) AS best
        FROM (
            SELECT list, lower(trim(internal_id)) AS key, internal_id, 0 AS rank, 'internal_id' AS how
            FROM netsuite.reference WHERE list <> 'item' AND is_inactive IS NOT TRUE
            UNION ALL
            SELECT list, lower(trim(external_id)), internal_id, 1, 'external_id'
            FROM netsuite.reference WHERE list <> 'item' AND is_inactive IS NOT TRUE
            UNION ALL
            SELECT list, lower(trim(number)), internal_id, 2, 'number'
            FROM netsuite.reference WHERE list <> 'item' AND is_inactive IS NOT TRUE
            UNION ALL
            SELECT list, lower(trim(name)), internal_id, 3, 'name'
            FROM netsuite.reference WHERE list <> 'item' AND is_inactive IS NOT TRUE)
        WHERE key <> '')
    WHERE rank = best GROUP BY list, key),
default_term AS MATERIALIZED (SELECT max(id) AS id FROM names WHERE list = 'term' AND key = 'net 30' AND answers = 1),
default_product AS MATERIALIZED (
    SELECT max(id) AS id FROM names WHERE list = 'cseg_product' AND key = 'metering' AND answers = 1),
bad_lines AS MATERIALIZED (
    SELECT external_id, source_id, line_no, problem, problem_code, next_step
    FROM hand.invoice_lines WHERE period = '$period' AND problem IS NOT NULL),
line_problems AS MATERIALIZED (
    SELECT external_id, first(problem_code ORDER BY line_no, source_id) AS problem_code,
        array_to_string(list(problem ORDER BY line_no, source_id)[1:3], ' ')
            || CASE WHEN count(*) > 3 THEN ' Lines with problems in all: ' || count(*) || '.' ELSE '' END AS problem
    FROM bad_lines GROUP BY external_id),
line_steps AS MATERIALIZED (
    SELECT external_id, array_to_string(list(next_step ORDER BY line_no, next_step)[1:3], ' ') AS next_step
    FROM (SELECT external_id, next_step, min(line_no) AS line_no FROM bad_lines GROUP BY external_id, next_step)
    GROUP BY external_id),
bill AS (
    SELECT d.* EXCLUDE (terms, memo), 'inv-' || d.id AS external_id, c.name AS customer, c.id AS found_customer, nullif(c.email, '') AS email,
        nullif(d.terms, '') AS terms, nullif(d.memo, '') AS memo,
        nullif(meta[1], '') AS subscription, nullif(meta[2], '') AS contract_start, nullif(meta[3], '') AS plan,
        nullif(meta[4], '') AS region, d.metadata IS NOT NULL AND meta IS NULL AS unreadable,
        CASE nullif(d.legal_entity, '') WHEN 'us' THEN '1' WHEN 'eu' THEN '3' END AS subsidiary,
        currencies.id AS currency_key, currencies.answers AS currency_answers, currencies.how AS currency_how,
        term.id AS term_id, term.answers AS term_answers, term.how AS term_how,
        product.id AS product_key, product.answers AS product_answers, product.how AS product_how,
        class.id AS class_id, class.answers AS class_answers, class.how AS class_how,
        default_term.id AS default_term, default_product.id AS default_product
    FROM (SELECT *, TRY(json_extract_string(metadata, ['/subscription_id', '/contract_start', '/plan', '/region'])) AS meta
        FROM billing.invoices WHERE period = '$period') d
    LEFT JOIN billing.customers c ON c.id = d.customer_id
    LEFT JOIN names AS currencies ON currencies.list = 'currency' AND currencies.key = lower(trim(d.currency))
    LEFT JOIN names AS term ON term.list = 'term' AND term.key = lower(trim(d.terms))
    LEFT JOIN names AS product ON product.list = 'cseg_product' AND product.key = lower(trim(d.product_line))
    LEFT JOIN names AS class ON class.list = 'classification' AND class.key = lower(trim(nullif(d.meta[3], '')))
    CROSS JOIN default_term CROSS JOIN default_product),
valued AS (
    SELECT *,
        CASE WHEN regexp_full_match(contract_start, '[0-9]{4}-[0-9]{2}-[0-9]{2}') THEN TRY_CAST(contract_start AS DATE) END AS starts,
        CASE region WHEN 'na' THEN 'North America' WHEN 'emea' THEN 'Europe' END AS region_name,
        CASE WHEN term_answers = 1 THEN term_id WHEN term_answers IS NULL THEN default_term END AS term_value,
        CASE WHEN product_answers = 1 THEN product_key WHEN product_answers IS NULL THEN default_product END AS product_value
    FROM bill),
judged AS (
    SELECT *,
        found_customer IS NULL OR unreadable OR NOT regexp_full_match(external_id, '[A-Za-z0-9_-]+')
        OR coalesce(currency_answers, 0) <> 1 OR term_value IS NULL OR product_value IS NULL
        OR (plan IS NOT NULL AND class_answers IS DISTINCT FROM 1) OR (contract_start IS NOT NULL AND starts IS NULL)
        OR (region IS NOT NULL AND region_name IS NULL) OR (nullif(legal_entity, '') IS NOT NULL AND subsidiary IS NULL) AS bad
    FROM valued)
SELECT '$period', judged.external_id, judged.id, number, customer, currency, total,
    CASE WHEN bad OR line_problems.external_id IS NOT NULL THEN nullif(concat_ws(' ',
        CASE WHEN NOT regexp_full_match(judged.external_id, '[A-Za-z0-9_-]+') THEN concat('Invoice ', number, ': its external id ''', judged.external_id, ''' cannot stand in a URL: it may hold letters, digits, ''-'' and ''_'' only.') END,
        CASE WHEN customer_id IS NULL THEN concat('Invoice ', number, ': the billing document names no customer.')
            WHEN found_customer IS NULL THEN concat('Invoice ', number, ': entity: billing has no customer ''', left(customer_id, 80), '''.') END,
        CASE WHEN unreadable THEN concat('Invoice ', number, ': its metadata in billing is not JSON.') END,
        CASE WHEN nullif(legal_entity, '') IS NOT NULL AND subsidiary IS NULL THEN concat('Invoice ', number, ': subsidiary: the mapping does not say what ''', left(legal_entity, 80), ''' becomes.') END,
        CASE WHEN currency_answers IS NULL THEN concat('Invoice ', number, ': currency: NetSuite has no active currency ''', left(currency, 80), ''' (list currency).')
            WHEN currency_answers > 1 THEN concat('Invoice ', number, ': currency: NetSuite has several active rows ''', left(currency, 80), ''' in the list currency.') END,
        CASE WHEN term_value IS NOT NULL THEN NULL
            WHEN term_answers > 1 THEN concat('Invoice ', number, ': terms: NetSuite has several active rows ''', left(terms, 80), ''' in the list term.')
            ELSE concat('Invoice ', number, ': terms: NetSuite has neither an active payment term ''', left(coalesce(terms, ''), 80), ''' nor the default ''Net 30'' (list term).') END,
        CASE WHEN plan IS NULL OR class_answers = 1 THEN NULL
            WHEN class_answers > 1 THEN concat('Invoice ', number, ': class: NetSuite has several active rows ''', left(plan, 80), ''' in the list classification.')
            ELSE concat('Invoice ', number, ': class: NetSuite has no active class ''', left(plan, 80), ''' (list classification).') END,
        CASE WHEN product_value IS NOT NULL THEN NULL
            WHEN product_answers > 1 THEN concat('Invoice ', number, ': cseg_product: NetSuite has several active rows ''', left(product_line, 80), ''' in the list cseg_product.')
            ELSE concat('Invoice ', number, ': cseg_product: NetSuite has neither an active value of cseg_product ''', left(coalesce(product_line, ''), 80), ''' nor the default ''Metering'' (list cseg_product).') END,
        CASE WHEN contract_start IS NOT NULL AND starts IS NULL THEN concat('Invoice ', number, ': custbody_contract_start: ''', left(contract_start, 80), ''' is not a date (YYYY-MM-DD).') END,
        CASE WHEN region IS NOT NULL AND region_name IS NULL THEN concat('Invoice ', number, ': custbody_region: the mapping does not say what ''', left(region, 80), ''' becomes.') END,
        line_problems.problem), '') END,
    CASE WHEN bad OR line_problems.external_id IS NOT NULL THEN coalesce(
        CASE WHEN NOT regexp_full_match(judged.external_id, '[A-Za-z0-9_-]+') THEN 'invalid_value' END,
        CASE WHEN customer_id IS NULL THEN 'no_customer' WHEN found_customer IS NULL THEN 'unresolved_reference' END,
        CASE WHEN unreadable THEN 'invalid_value' END,
        CASE WHEN nullif(legal_entity, '') IS NOT NULL AND subsidiary IS NULL THEN 'unmapped_value' END,
        CASE WHEN currency_answers IS NULL THEN 'unresolved_reference' WHEN currency_answers > 1 THEN 'ambiguous_reference' END,
        CASE WHEN term_value IS NOT NULL THEN NULL WHEN term_answers > 1 THEN 'ambiguous_reference' ELSE 'unresolved_reference' END,
        CASE WHEN plan IS NULL OR class_answers = 1 THEN NULL WHEN class_answers > 1 THEN 'ambiguous_reference' ELSE 'unresolved_reference' END,
        CASE WHEN product_value IS NOT NULL THEN NULL WHEN product_answers > 1 THEN 'ambiguous_reference' ELSE 'unresolved_reference' END,
        CASE WHEN contract_start IS NOT NULL AND starts IS NULL THEN 'invalid_value' END,
        CASE WHEN region IS NOT NULL AND region_name IS NULL THEN 'unmapped_value' END,
        line_problems.problem_code) END,
    CASE WHEN bad OR line_problems.external_id IS NOT NULL THEN nullif(concat_ws(' ',
        CASE WHEN NOT regexp_full_match(judged.external_id, '[A-Za-z0-9_-]+') THEN 'Correct the id in billing, or external_id at $where_external_id.' END,
        CASE WHEN customer_id IS NULL THEN 'Give the document its customer in billing; until then it is not booked.'
            WHEN found_customer IS NULL THEN concat('Add the customer ''', left(customer_id, 80), ''' in billing, or correct the document''s customer there.') END,
        CASE WHEN unreadable THEN 'Correct the metadata in billing.' END,
        CASE WHEN nullif(legal_entity, '') IS NOT NULL AND subsidiary IS NULL THEN concat('Add ''', left(legal_entity, 80), ''' to the map in $where_subsidiary.') END,
        CASE WHEN currency_answers IS NULL THEN concat('Create the currency ''', left(currency, 80), ''' in NetSuite or map it in $where_currency.')
            WHEN currency_answers > 1 THEN concat('Make ''', left(currency, 80), ''' unique in NetSuite, or map it to one internal id in $where_currency.') END,
        CASE WHEN term_value IS NOT NULL THEN NULL
            WHEN term_answers > 1 THEN concat('Make ''', left(terms, 80), ''' unique in NetSuite, or map it to one internal id in $where_terms.')
            ELSE concat('Create the payment term ''', left(coalesce(terms, ''), 80), ''' or ''Net 30'' in NetSuite, or map it in $where_terms.') END,
        CASE WHEN plan IS NULL OR class_answers = 1 THEN NULL
            WHEN class_answers > 1 THEN concat('Make ''', left(plan, 80), ''' unique in NetSuite, or map it to one internal id in $where_class.')
            ELSE concat('Create the class ''', left(plan, 80), ''' in NetSuite or map it in $where_class.') END,
        CASE WHEN product_value IS NOT NULL THEN NULL
            WHEN product_answers > 1 THEN concat('Make ''', left(product_line, 80), ''' unique in NetSuite, or map it to one internal id in $where_cseg_product.')
            ELSE concat('Create the value of cseg_product ''', left(coalesce(product_line, ''), 80), ''' or ''Metering'' in NetSuite, or map it in $where_cseg_product.') END,
        CASE WHEN contract_start IS NOT NULL AND starts IS NULL THEN 'Correct the value in billing, or the rule in $where_custbody_contract_start.' END,
        CASE WHEN region IS NOT NULL AND region_name IS NULL THEN concat('Add ''', left(region, 80), ''' to the map in $where_custbody_region.') END,
        line_steps.next_step), '') END,
    NULL,
    '{' || concat_ws(',',
        CASE WHEN found_customer IS NOT NULL THEN '"entity":"customer"' END,
        CASE WHEN currency_answers = 1 THEN '"currency":"' || currency_how || '"' END,
        CASE WHEN term_answers = 1 THEN '"terms":"' || term_how || '"' WHEN term_answers IS NULL AND default_term IS NOT NULL THEN '"terms":"default Net 30"' END,
        CASE WHEN class_answers = 1 THEN '"class":"' || class_how || '"' END,
        CASE WHEN product_answers = 1 THEN '"cseg_product":"' || product_how || '"' WHEN product_answers IS NULL AND default_product IS NOT NULL THEN '"cseg_product":"default Metering"' END,
        CASE WHEN nullif(po_number, '') IS NOT NULL THEN '"custbody_po":"from po_number"' WHEN nullif(number, '') IS NOT NULL THEN '"custbody_po":"from number"' END) || '}',
    'cus-' || found_customer, subsidiary, CASE WHEN currency_answers = 1 THEN currency_key END, issued_on, issued_on + 30, term_value,
    memo, number, 'Usage ' || number || ' of ' || issued_on::VARCHAR, CASE WHEN class_answers = 1 THEN class_id END, product_value,
    subscription, starts, plan, region_name, email, round(total, 2), nullif(concat_ws(' / ', memo, nullif(po_number, ''), number), ''), false,
    coalesce(nullif(po_number, ''), number)
FROM judged LEFT JOIN line_problems USING (external_id) LEFT JOIN line_steps USING (external_id);
