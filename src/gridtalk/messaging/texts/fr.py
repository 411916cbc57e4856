"""French. GSM 03.38 has à, è, é, ù and É, but neither the cedilla nor any circumflex."""

from gridtalk.messaging.texts.catalogue import Catalogue

CATALOGUE = Catalogue(
    months=(
        "janv.",
        "févr.",
        "mars",
        "avr.",
        "mai",
        "juin",
        "juil.",
        "aout",
        "sept.",
        "oct.",
        "nov.",
        "déc.",
    ),
    off="coupé",
    on="allumé",
    estimated="environ {} (estimation)",
    texts={
        # Answers.
        "balance": "Compte {account}: crédit {credit}. Dernier relevé le {time}.",
        "balance_no_report": (
            "Compte {account}: crédit {credit}. Le compteur n'a pas encore envoyé de relevé."
        ),
        "usage": (
            "Compte {account}, 30 derniers jours: crédit consommé {credit}, "
            "en moyenne {wh} Wh par jour."
        ),
        "usage_no_report": "Compte {account}: aucun relevé ces 30 derniers jours.",
        "add_credit_received": (
            "Compte {account}: code de recharge accepté. Vous recevrez un message "
            "quand le compteur aura confirmé."
        ),
        "add_credit_done": (
            "Compte {account}: recharge effectuée. Courant {status}, crédit {credit}."
        ),
        "turn_on_done": "Compte {account}: courant {status}. Crédit {credit}.",
        "turn_off_done": "Compte {account}: courant {status}. Crédit {credit}.",
        "switch_superseded": (
            "Compte {account}: votre demande d'allumer ou de couper le courant a été remplacée "
            "par une demande plus récente."
        ),
        "contact_changed": (
            "Compte {account}: numéro de téléphone changé. Ancien: {old}, nouveau: {new}."
        ),
        "contact_ask": (
            "{phone} demande à devenir le numéro du compte {account}. Pour accepter, envoyez "
            "d'ici: tel.{account}.{phone} Sinon, ne faites rien."
        ),
        "contact_waits": (
            "Compte {account}: nous avons demandé confirmation au numéro actuel. "
            "Le changement se fera quand il aura confirmé."
        ),
        "contact_same": "Compte {account}: {phone} est déjà son numéro de téléphone.",
        "language_changed": "Compte {account}: vos messages seront désormais dans cette langue.",
        "help": (
            "Envoyez solde.COMPTE, recharge.COMPTE.CODE, on.COMPTE, off.COMPTE, conso.COMPTE, "
            "tel.COMPTE.NUMERO ou langue.COMPTE.fr Exemple: solde.23456789"
        ),
        # What is missing or wrong.
        "hint_balance": (
            "Pour connaitre votre crédit, envoyez solde.COMPTE, par exemple solde.23456789"
        ),
        "hint_add_credit": (
            "Pour recharger, envoyez recharge.COMPTE.CODE, "
            "par exemple recharge.23456789.12345678901"
        ),
        "hint_turn_on": "Pour allumer le courant, envoyez on.COMPTE, par exemple on.23456789",
        "hint_turn_off": "Pour couper le courant, envoyez off.COMPTE, par exemple off.23456789",
        "hint_set_contact": (
            "Pour changer de numéro de téléphone, envoyez tel.COMPTE.NUMERO, "
            "par exemple tel.23456789.+22370008888"
        ),
        "hint_usage": (
            "Pour connaitre votre consommation, envoyez conso.COMPTE, par exemple conso.23456789"
        ),
        "hint_language": (
            "Pour changer de langue, envoyez langue.COMPTE.CODE, par exemple langue.23456789.fr "
            "Codes: {languages}."
        ),
        "account_unknown": "Aucun compte ne porte ce numéro. Vérifiez-le, puis réessayez.",
        "token_unknown": "Ce code de recharge n'existe pas. Vérifiez-le, puis réessayez.",
        "token_spent": "Ce code de recharge a déjà été utilisé.",
        "token_spent_here": (
            "Ce code de recharge a été utilisé le {time} pour le compte {account}."
        ),
        "token_pending": "Ce code de recharge est déjà en cours de traitement.",
        "on_refused_no_credit": (
            "Compte {account}: impossible d'allumer le courant, le crédit est de {credit}. "
            "Rechargez d'abord: recharge.{account}.CODE"
        ),
        "contact_invalid": (
            "Ce numéro de téléphone n'est pas valable. Écrivez-le avec l'indicatif du pays, "
            "par exemple +22370008888"
        ),
        "language_unknown": (
            "Cette langue n'est pas disponible. Codes possibles: {languages}. "
            "Exemple: langue.{account}.fr"
        ),
        "locked_out": "Trop de numéros erronés. Attendez une heure, puis réessayez.",
        "add_credit_unanswered": (
            "Compte {account}: le compteur n'a pas encore confirmé votre recharge. "
            "Elle n'est pas perdue, l'opérateur est prévenu."
        ),
        "turn_on_unanswered": (
            "Compte {account}: le compteur n'a pas répondu, l'allumage n'est pas confirmé. "
            "Réessayez plus tard."
        ),
        "turn_off_unanswered": (
            "Compte {account}: le compteur n'a pas répondu, la coupure n'est pas confirmée. "
            "Réessayez plus tard."
        ),
        # Alerts.
        "low_credit": (
            "Compte {account}: il ne reste que {credit} de crédit. "
            "Pour recharger: recharge.{account}.CODE"
        ),
        "no_credit": (
            "Compte {account}: votre crédit est épuisé, le courant est coupé. "
            "Pour recharger: recharge.{account}.CODE"
        ),
        "power_max": (
            "Compte {account}: trop de puissance utilisée, le courant a été coupé. "
            "Débranchez un appareil, puis envoyez on.{account}"
        ),
        "energy_max": (
            "Compte {account}: la limite d'énergie du jour est atteinte, le courant a été coupé."
        ),
    },
)
