-- Where loans or interest are rolled beside the balance: the severity of the gravest of the measures that are off.
SELECT
    * REPLACE (
        CASE
            WHEN status = 'variance'
                THEN ['low', 'medium', 'high', 'critical'][list_max(list_transform(
                    list_transform(
                        list_filter(
                            [
                                struct_pack(calculated := calculated_balance, actual := actual_balance),
                                struct_pack(calculated := loan_calculated, actual := coalesce(loan_actual, 0)::DECIMAL(38, 18)),
                                struct_pack(
                                    calculated := interest_calculated, actual := coalesce(interest_actual, 0)::DECIMAL(38, 18)
                                )
                            ],
                            LAMBDA m : abs(m.actual - m.calculated) > tolerance
                        ),
                        LAMBDA m : weight_of(m.calculated, m.actual, usd_of(abs(m.actual - m.calculated), usd_price))
                    ),
                    LAMBDA w : gravity_of(w, usd_price)
                ))]
        END AS severity
    )
FROM reconciled
