-- Every token transfer. One transaction can hold several of them, so the hash is no id: rows are known by their content.
SELECT
    "Wallet" AS account,
    "Network" AS wallet,
    "Date" AS datetime,
    CASE "Type" WHEN 'IN' THEN 'transfer_in' WHEN 'OUT' THEN 'transfer_out' END AS txn_type,
    "Token" AS asset,
    CASE "Type" WHEN 'IN' THEN amount("Amount") WHEN 'OUT' THEN -amount("Amount") END AS amount,
    CASE "Type" WHEN 'IN' THEN "Transfer From" ELSE "Transfer To" END AS counter_party,
    "Network" AS network,
    "Hash" AS txn_hash,
    filename,
    file_line
FROM movement
