"""Swahili."""

from gridtalk.messaging.texts.catalogue import Catalogue

CATALOGUE = Catalogue(
    months=("Jan", "Feb", "Mac", "Apr", "Mei", "Jun", "Jul", "Ago", "Sep", "Okt", "Nov", "Des"),
    # Both agree with umeme (electricity), which stands before {status} everywhere.
    off="umezimwa",
    on="umewashwa",
    estimated="takriban {} (makadirio)",
    texts={
        # Answers.
        "balance": "Akaunti {account}: salio ni {credit}. Ripoti ya mwisho {time}.",
        "balance_no_report": (
            "Akaunti {account}: salio ni {credit}. Mita bado haijatuma ripoti yoyote."
        ),
        "usage": (
            "Akaunti {account}, siku 30 zilizopita: umetumia salio {credit}, "
            "wastani wa Wh {wh} kwa siku."
        ),
        "usage_no_report": "Akaunti {account}: hakuna ripoti yoyote katika siku 30 zilizopita.",
        "add_credit_received": (
            "Akaunti {account}: tokeni imepokelewa. Utapata ujumbe mita itakapothibitisha."
        ),
        "add_credit_done": (
            "Akaunti {account}: tokeni yako imeongezwa. Umeme {status}, salio ni {credit}."
        ),
        "turn_on_done": "Akaunti {account}: umeme {status}. Salio ni {credit}.",
        "turn_off_done": "Akaunti {account}: umeme {status}. Salio ni {credit}.",
        "switch_superseded": (
            "Akaunti {account}: ombi lako la kuwasha au kuzima umeme limebadilishwa na ombi "
            "jipya zaidi."
        ),
        "contact_changed": (
            "Akaunti {account}: namba ya simu imebadilishwa. Ya zamani: {old}, mpya: {new}."
        ),
        "contact_ask": (
            "{phone} inaomba kuwa namba ya simu ya akaunti {account}. Ukikubali, tuma kutoka "
            "simu hii: simu.{account}.{phone} Usipokubali, puuza."
        ),
        "contact_waits": (
            "Akaunti {account}: tumeiomba simu iliyosajiliwa ithibitishe. "
            "Namba itabadilika ikithibitishwa."
        ),
        "contact_same": "Akaunti {account}: {phone} tayari ndiyo namba yake ya simu.",
        "language_changed": "Akaunti {account}: sasa utapata ujumbe kwa Kiswahili.",
        "help": (
            "Tuma salio.AKAUNTI, ongeza.AKAUNTI.TOKENI, washa.AKAUNTI, zima.AKAUNTI, "
            "matumizi.AKAUNTI, simu.AKAUNTI.NAMBA au lugha.AKAUNTI.sw Mfano: salio.23456789"
        ),
        # What is missing or wrong.
        "hint_balance": "Kujua salio lako, tuma salio.AKAUNTI, kwa mfano salio.23456789",
        "hint_add_credit": (
            "Kuongeza salio, tuma ongeza.AKAUNTI.TOKENI, kwa mfano ongeza.23456789.12345678901"
        ),
        "hint_turn_on": "Kuwasha umeme, tuma washa.AKAUNTI, kwa mfano washa.23456789",
        "hint_turn_off": "Kuzima umeme, tuma zima.AKAUNTI, kwa mfano zima.23456789",
        "hint_set_contact": (
            "Kubadilisha namba ya simu, tuma simu.AKAUNTI.NAMBA, "
            "kwa mfano simu.23456789.+255700088888"
        ),
        "hint_usage": "Kujua matumizi yako, tuma matumizi.AKAUNTI, kwa mfano matumizi.23456789",
        "hint_language": (
            "Kubadilisha lugha, tuma lugha.AKAUNTI.LUGHA, kwa mfano lugha.23456789.sw "
            "Lugha zilizopo: {languages}."
        ),
        "account_unknown": (
            "Hakuna akaunti yenye namba hii. Tafadhali iangalie, kisha ujaribu tena."
        ),
        "token_unknown": "Hakuna tokeni yenye namba hii. Tafadhali iangalie, kisha ujaribu tena.",
        "token_spent": "Tokeni hii imeshatumika.",
        "token_spent_here": "Tokeni hii ilitumika tarehe {time} kwa akaunti {account}.",
        "token_pending": "Tokeni hii tayari inashughulikiwa.",
        "on_refused_no_credit": (
            "Akaunti {account}: umeme hauwezi kuwashwa, salio ni {credit}. "
            "Ongeza salio kwanza: ongeza.{account}.TOKENI"
        ),
        "contact_invalid": (
            "Hii si namba sahihi ya simu. Iandike pamoja na namba ya nchi, kwa mfano +255700088888"
        ),
        "language_unknown": (
            "Lugha hiyo haipo. Chagua kati ya: {languages}. Mfano: lugha.{account}.sw"
        ),
        "locked_out": (
            "Umetuma namba zisizo sahihi mara nyingi. Subiri saa moja, kisha ujaribu tena."
        ),
        "add_credit_unanswered": (
            "Akaunti {account}: mita bado haijathibitisha tokeni yako. "
            "Haijapotea, mhudumu amejulishwa."
        ),
        "turn_on_unanswered": (
            "Akaunti {account}: mita haikujibu, hatuna uhakika kama umeme umewashwa. "
            "Tafadhali jaribu tena baadaye."
        ),
        "turn_off_unanswered": (
            "Akaunti {account}: mita haikujibu, hatuna uhakika kama umeme umezimwa. "
            "Tafadhali jaribu tena baadaye."
        ),
        # Alerts.
        "low_credit": (
            "Akaunti {account}: salio lililobaki ni {credit} tu. Kuongeza: ongeza.{account}.TOKENI"
        ),
        "no_credit": (
            "Akaunti {account}: salio limekwisha na umeme umezimwa. "
            "Kuongeza: ongeza.{account}.TOKENI"
        ),
        "power_max": (
            "Akaunti {account}: umeme mwingi mno umetumika kwa wakati mmoja, hivyo umezimwa. "
            "Chomoa kifaa kimoja, kisha tuma washa.{account}"
        ),
        "energy_max": (
            "Akaunti {account}: kikomo cha umeme cha siku kimefikiwa, hivyo umeme umezimwa."
        ),
    },
)
