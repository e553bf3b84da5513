//! kekkai-deploy
